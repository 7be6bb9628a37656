"""``models.comparison`` and ``models.comparison_months``: a comparison is added as a whole, and never changed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import duckdb

from ml.comparison.comparing import Comparison
from warehouse.lake.connection import writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

MODELS, MONTHS = "models.comparison", "models.comparison_months"


def write_comparison(settings: Settings, comparison: Comparison) -> None:
    """Add the rows of a comparison to the lake, in one commit."""
    occasion = comparison.occasion
    with writer(f"comparison {occasion.comparison_id}", settings) as con:
        con.execute("begin")
        _insert(con, MODELS, [asdict(occasion) | asdict(row) for row in comparison.models])
        of_months = {"comparison_id": occasion.comparison_id, "source": occasion.source}
        _insert(con, MONTHS, [of_months | asdict(row) for row in comparison.months])
        con.execute("commit")


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa

    # one statement: the lake writes a file for each insert
    con.register("compared_rows", pa.Table.from_pylist(list(rows)))
    casts = ", ".join(f"{column}::{data_type} as {column}" for column, data_type in program_tables()[table].items())
    con.execute(f"insert into {table} by name select {casts} from compared_rows")
    con.unregister("compared_rows")
