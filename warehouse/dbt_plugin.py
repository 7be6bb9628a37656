"""dbt-duckdb plugin: attaches the home's lake, and takes the writer lease for the commands that write.

The attachment is made here and not in ``profiles.yml`` because its paths must not depend on the working directory and
its extensions come from wheels.
"""

import atexit
from contextlib import ExitStack

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags

from warehouse.lake import CATALOG, attach, connect, lake_exists, lease, prepare
from warehouse.private_files import keep_private
from warehouse.settings import Settings

WRITING_COMMANDS = {"build", "clone", "run", "run-operation", "seed", "snapshot"}


class Plugin(BasePlugin):
    """Attach the lake to dbt's connection.

    A command that writes takes the lease, first creates the tables that models read and programs write, and may write.
    One that only reads (test, docs, show, compile) takes no lease and is attached read-only; in a home that has no lake
    yet it sees an empty database.
    """

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called by dbt-duckdb once for each connection it opens."""
        settings = Settings.from_environment()
        keep_private(settings)
        command = get_flags().WHICH
        if command in WRITING_COMMANDS:
            turn = ExitStack()
            turn.enter_context(lease(f"dbt {command}", settings))
            # dbt gives plugins no closing hook: the lease lasts as long as dbt's own process
            atexit.register(turn.close)
            with connect(settings, read_only=False) as con:
                prepare(con)
            attach(conn, settings, read_only=False)
        elif lake_exists(settings):
            attach(conn, settings, read_only=True)
        else:
            conn.execute("set global timezone = 'UTC'")
            conn.execute(f"attach if not exists ':memory:' as {CATALOG}")
