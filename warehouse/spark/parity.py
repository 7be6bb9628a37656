"""Compare tables that Spark built with those that DuckDB built: every column of every row, in DuckDB.

Integers, texts, dates, times, booleans and nulls must be equal; doubles within :data:`TOLERANCE` of the larger one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from warehouse.lake.tables import CATALOG
from warehouse.sql.quoting import identifier, literal

#: Largest difference of two doubles, relative to the larger. Engines add in another order: 2.3e-11 at most was seen.
TOLERANCE = 1e-9
_MOST_EXAMPLES = 3


@dataclass(frozen=True)
class Difference:
    """What differs in a model; ``column`` is None where whole rows, or the table, do."""

    model: str
    column: str | None
    n_rows: int
    what: str

    def __str__(self) -> str:
        place = self.model if self.column is None else f"{self.model}.{self.column}"
        return f"{place}: {self.what}" + (f" ({self.n_rows:,} rows)" if self.n_rows else "")


@dataclass(frozen=True)
class ModelParity:
    """The comparison of one model; ``largest``: the largest relative difference of its doubles."""

    model: str
    n_rows: int
    n_columns: int
    largest: float
    differences: Sequence[Difference]


def compare_model(con: duckdb.DuckDBPyConnection, model: str, files: Sequence[str]) -> ModelParity:
    """Compare the lake's ``schema.table`` with Spark's Parquet ``files`` of it; without files Spark has no row."""
    ours = _columns(con, f"select * from {CATALOG}.{identifier(*model.split('.'))}")
    if not files:
        n_rows = _scalar(con, f"select count(*) from {CATALOG}.{identifier(*model.split('.'))}")
        lost = [Difference(model, None, n_rows, "rows in DuckDB's table alone")] if n_rows else []
        return ModelParity(model, n_rows, len(ours), 0.0, lost)
    paths = ", ".join(literal(path) for path in files)
    theirs = _columns(con, f"from read_parquet([{paths}], hive_partitioning = false)")
    differing = _schema_differences(model, ours, theirs)
    compared = {name: data_type for name, data_type in ours.items() if theirs.get(name) == data_type}
    names = ", ".join(identifier(name) for name in compared)
    key = _key(con, model, compared)
    for alias, rows in (
        ("ours", f"{CATALOG}.{identifier(*model.split('.'))}"),
        ("theirs", f"read_parquet([{paths}], hive_partitioning = false)"),
    ):
        # rows of one key, if the table has any, are paired in the order of all their values
        con.execute(
            f"create or replace temporary view {alias} as select {names}, "
            f"row_number() over (partition by {', '.join(key)} order by {names}) as compared_place from {rows}"
            if not _is_unique(con, model, key)
            else f"create or replace temporary view {alias} as select {names}, 1 as compared_place from {rows}"
        )
    return _compared(con, model, compared, key, differing)


def _compared(
    con: duckdb.DuckDBPyConnection,
    model: str,
    columns: Mapping[str, str],
    key: Sequence[str],
    differing: list[Difference],
) -> ModelParity:
    paired = " and ".join(f"ours.{name} is not distinct from theirs.{name}" for name in key)
    joined = f"ours full join theirs on {paired} and ours.compared_place = theirs.compared_place"
    both = "ours.compared_place is not null and theirs.compared_place is not null"
    counts = [
        "count(ours.compared_place)",
        f"count(*) filter (where {both})",
        "count(*) filter (where theirs.compared_place is null)",
        "count(*) filter (where ours.compared_place is null)",
    ]
    values = [name for name in columns if identifier(name) not in key]
    counts += [f"count(*) filter (where {both} and {_differs(name, columns[name])})" for name in values]
    largest = [f"max({_relative(name)})" for name in values if columns[name] == "DOUBLE"]
    row = con.execute(f"select {', '.join([*counts, *largest])} from {joined}").fetchone() or ()
    n_rows, _, n_ours, n_theirs = row[:4]
    found = list(differing)
    for n_alone, owner in ((n_ours, "DuckDB"), (n_theirs, "Spark")):
        if n_alone:
            other = "theirs" if owner == "DuckDB" else "ours"
            where = f"{other}.compared_place is null"
            found.append(
                Difference(model, None, n_alone, f"rows in {owner}'s table alone{_keys(con, joined, where, key)}")
            )
    for name, n_different in zip(values, row[4 : 4 + len(values)], strict=True):
        if n_different:
            where = f"{both} and {_differs(name, columns[name])}"
            found.append(Difference(model, name, n_different, f"differs{_values(con, joined, where, key, name)}"))
    seen = [value for value in row[4 + len(values) :] if value is not None]
    return ModelParity(model, n_rows, len(columns), max(seen, default=0.0), found)


def _differs(name: str, data_type: str) -> str:
    column = identifier(name)
    distinct = f"ours.{column} is distinct from theirs.{column}"
    if data_type != "DOUBLE":
        return f"({distinct})"
    # infinite or missing beside a number is never within the tolerance
    return f"({distinct} and not coalesce({_relative(name)} <= {TOLERANCE!r}, false))"


def _relative(name: str) -> str:
    ours, theirs = f"ours.{identifier(name)}", f"theirs.{identifier(name)}"
    return (
        f"(case when isfinite({ours}) and isfinite({theirs}) and {ours} <> {theirs} "
        f"then abs({ours} - {theirs}) / greatest(abs({ours}), abs({theirs})) end)"
    )


def _schema_differences(model: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(model, name, 0, f"must be {data_type} as in DuckDB's table: found {theirs.get(name, 'no column')}")
        for name, data_type in ours.items()
        if theirs.get(name) != data_type
    ] + [
        Difference(model, name, 0, f"is a {data_type} of Spark's table alone")
        for name, data_type in theirs.items()
        if name not in ours
    ]


def _key(con: duckdb.DuckDBPyConnection, model: str, columns: Mapping[str, str]) -> list[str]:
    """The fewest first columns, doubles aside, that no two rows share; all of them where some rows do."""
    exact = [identifier(name) for name, data_type in columns.items() if data_type != "DOUBLE"]
    for n in range(1, len(exact)):
        if _is_unique(con, model, exact[:n]):
            return exact[:n]
    return exact


def _is_unique(con: duckdb.DuckDBPyConnection, model: str, key: Sequence[str]) -> bool:
    table = f"{CATALOG}.{identifier(*model.split('.'))}"
    repeated = f"select 1 from {table} group by {', '.join(key)} having count(*) > 1 limit 1"
    return con.execute(repeated).fetchone() is None


def _keys(con: duckdb.DuckDBPyConnection, joined: str, where: str, key: Sequence[str]) -> str:
    shown = ", ".join(f"coalesce(ours.{name}, theirs.{name})" for name in key)
    rows = con.execute(f"select {shown} from {joined} where {where} order by all limit {_MOST_EXAMPLES}").fetchall()
    return ": " + "; ".join(", ".join(map(str, row)) for row in rows)


def _values(con: duckdb.DuckDBPyConnection, joined: str, where: str, key: Sequence[str], name: str) -> str:
    column = identifier(name)
    shown = ", ".join(f"ours.{part}" for part in key)
    rows = con.execute(
        f"select ours.{column}, theirs.{column}, {shown} from {joined} where {where} "
        f"order by all limit {_MOST_EXAMPLES}"
    ).fetchall()
    return ": " + "; ".join(
        f"{', '.join(map(str, found_key))}: DuckDB {one!r}, Spark {other!r}" for one, other, *found_key in rows
    )


def _columns(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    return {name: data_type for name, data_type, *_ in con.execute(f"describe {query}").fetchall()}


def _scalar(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0
