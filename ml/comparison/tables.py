"""``models.comparison`` and its months, folds and information values: added as a whole, and never changed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import duckdb

from ml.comparison.comparing import Comparison
from ml.registry.information_values import insert_information_values
from warehouse.lake.connection import writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

MODELS, MONTHS, FOLDS = "models.comparison", "models.comparison_months", "models.comparison_folds"


def write_comparison(settings: Settings, comparison: Comparison) -> None:
    """Add the rows of a comparison to the lake, in one commit."""
    occasion = comparison.occasion
    with writer(f"comparison {occasion.comparison_id}", settings) as con:
        con.execute("begin")
        _insert(con, MODELS, [asdict(occasion) | asdict(row) for row in comparison.models])
        of_all = {"comparison_id": occasion.comparison_id, "source": occasion.source}
        _insert(con, MONTHS, [of_all | asdict(row) for row in comparison.months])
        if comparison.folds:
            _insert(con, FOLDS, [of_all | asdict(row) for row in comparison.folds])
        if comparison.information_values:
            insert_information_values(con, comparison.information_values, measured_at=occasion.compared_at, **of_all)
        con.execute("commit")


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa

    # one statement: the lake writes a file for each insert
    con.register("compared_rows", pa.Table.from_pylist(list(rows)))
    casts = ", ".join(f"{column}::{data_type} as {column}" for column, data_type in program_tables()[table].items())
    con.execute(f"insert into {table} by name select {casts} from compared_rows")
    con.unregister("compared_rows")
