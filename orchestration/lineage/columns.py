"""Columns of the lake's tables, for the events about them."""

from collections.abc import Sequence

import duckdb

from warehouse.lake.connection import connect
from warehouse.settings import Settings

_COLUMNS = (
    "select column_name, data_type, comment from duckdb_columns() "
    "where database_name = 'lake' and schema_name = $1 and table_name = $2 order by column_index"
)


class LakeColumns:
    """Reads them on one connection, which stays open until :meth:`close`.

    To open the lake takes one to three seconds of a busy machine, a look-up on an open connection 20 milliseconds; a
    run names 50 tables. For one thread.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._con: duckdb.DuckDBPyConnection | None = None

    def of(self, name: str) -> Sequence[tuple[str, str, str | None]] | None:
        """A table's columns now, (name, type, comment) in order; None if there is no such table."""
        try:
            found = self._read(name)
        except duckdb.Error:
            # the connection may be at fault: a new one decides
            self.close()
            found = self._read(name)
        return [(str(column), str(kind), comment) for column, kind, comment in found] or None

    def close(self) -> None:
        """Close the connection; the next look-up opens another."""
        if self._con is not None:
            self._con.close()
            self._con = None

    def _read(self, name: str) -> Sequence[tuple[str, str, str | None]]:
        if self._con is None:
            self._con = connect(self._settings)
        schema, _, table = name.partition(".")
        return self._con.execute(_COLUMNS, [schema, table]).fetchall()
