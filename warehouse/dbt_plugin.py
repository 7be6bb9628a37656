"""dbt-duckdb plugin: attaches the home's lake, and takes the writer lease for the commands that write.

The attachment is made here and not in ``profiles.yml`` because its paths must not depend on the working directory and
its extensions come from wheels.
"""

import atexit
from contextlib import ExitStack

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags

from warehouse.lake import attach, lease
from warehouse.settings import Settings

WRITING_COMMANDS = {"build", "clone", "run", "run-operation", "seed", "snapshot"}


class Plugin(BasePlugin):
    """Attach the lake to dbt's connection; readers among dbt's commands (test, docs, show, compile) take no lease."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Attach the lake to dbt's own connection, under the lease where the command writes."""
        settings = Settings.from_environment()
        command = get_flags().WHICH  # type: ignore[no-untyped-call]
        if command in WRITING_COMMANDS:
            turn = ExitStack()
            turn.enter_context(lease(f"dbt {command}", settings))
            # dbt gives plugins no closing hook: the lease lasts as long as dbt's own process
            atexit.register(turn.close)
        attach(conn, settings, read_only=False)
        conn.execute("set timezone = 'UTC'")
