"""Arrow schemas for rows of program-written tables."""

from typing import TYPE_CHECKING

from warehouse.lake.tables import program_tables

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_schema(table: str) -> "pa.Schema":
    """The table's columns, in order."""
    import pyarrow as pa

    types = {
        "varchar": pa.string(),
        "double": pa.float64(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us"),
    }
    return pa.schema([(name, types[data_type]) for name, data_type in program_tables()[table].items()])
