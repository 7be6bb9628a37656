"""dbt-duckdb plugin: attaches the home's lakes, takes the writer lease of the lake that a command writes to, and reads
the files of the lenders.

Not in ``profiles.yml``: paths must not depend on the working directory, and the extensions come from wheels.
"""

import atexit
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError

from warehouse.errors import NoLakeError
from warehouse.failures import explained
from warehouse.files.private_files import keep_private
from warehouse.lake.connection import (
    CATALOG,
    DEV,
    attach,
    connect,
    current_snapshot,
    is_prepared,
    lake_exists,
    lease,
    prepare,
    writer,
)
from warehouse.lake.dev_lakes import of_dev_lake
from warehouse.lenders.rules import settings_text
from warehouse.settings import Settings
from warehouse.sql.quoting import literal

WRITING_COMMANDS = {"build", "clone", "run", "run-operation", "seed", "snapshot"}


class Plugin(BasePlugin):
    """Attach the lakes to dbt's connection for the plugin config ``target``, ``prod`` or ``dev``.

    On ``prod`` a writing command takes production's lease and creates missing tables that programs write. On ``dev`` it
    takes the lease of the person's own lake and reads production's newest snapshot at its start. A reading command
    (test, docs, show, compile) takes no lease and attaches read-only; a missing lake appears as an empty database.
    """

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Called by dbt-duckdb with the plugin's config in ``profiles.yml``."""
        self._is_dev = plugin_config["target"] == "dev"

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called by dbt-duckdb for each connection it opens; raises DbtRuntimeError for what a user can fix."""
        try:
            self._attach(conn, Settings.from_environment())
        except Exception as error:
            explanation = explained(error)
            if explanation is None:
                raise
            raise DbtRuntimeError(explanation) from error

    def _attach(self, conn: duckdb.DuckDBPyConnection, settings: Settings) -> None:
        keep_private(settings)
        writes = get_flags().WHICH in WRITING_COMMANDS
        if self._is_dev:
            if writes:
                _make_production(settings)
            _attach_to_read(conn, settings, CATALOG)
            own = of_dev_lake(settings, settings.dev_name)
            if writes:
                _take_lease(f"dbt {get_flags().WHICH} into {DEV} of {settings.dev_name}", own)
                attach(conn, own, read_only=False, name=DEV)
            else:
                _attach_to_read(conn, own, DEV)
        elif writes:
            _take_lease(f"dbt {get_flags().WHICH}", settings)
            with connect(settings, read_only=False) as con:
                prepare(con)
            attach(conn, settings, read_only=False)
        else:
            _attach_to_read(conn, settings, CATALOG)
        conn.execute("set global timezone = 'UTC'")
        _lend_settings(conn, Path(get_flags().PROJECT_DIR))


def _lend_settings(conn: duckdb.DuckDBPyConnection, project_dir: Path) -> None:
    """Give the project's macros what only Python can read: macros/lenders.sql."""
    settings = literal(settings_text(project_dir))
    conn.execute(f"create or replace table memory.main.lender_settings as select {settings} as settings")


def _take_lease(purpose: str, settings: Settings) -> None:
    turn = ExitStack()
    turn.enter_context(lease(purpose, settings))
    # dbt has no closing hook for plugins: the lease lasts as long as dbt's process
    atexit.register(turn.close)


def _make_production(settings: Settings) -> None:
    """Create the tables of production that dbt sources need; nothing to do once any file was loaded."""
    try:
        with closing(connect(settings)) as con:
            if is_prepared(con):
                return
    except NoLakeError:
        pass
    with writer("create the tables that dbt's sources name", settings):
        pass


def _attach_to_read(conn: duckdb.DuckDBPyConnection, settings: Settings, name: str) -> None:
    if not lake_exists(settings):
        conn.execute(f"attach if not exists ':memory:' as {name}")
        return
    try:
        with closing(connect(settings)) as con:
            snapshot = current_snapshot(con)
    except NoLakeError:
        conn.execute(f"attach if not exists ':memory:' as {name}")
        return
    attach(conn, settings, read_only=True, name=name, snapshot=snapshot)
