"""Profiles of a few texts, as DuckDB counts them."""

import duckdb

from warehouse.profiling.profile import ColumnProfile, FileProfile, profile_table
from warehouse.sql.quoting import identifier


def profile_of(entity: str, **columns: list[str | None]) -> FileProfile:
    """A file whose columns have these texts."""
    with duckdb.connect() as con:
        con.execute(f"create table texts ({', '.join(f'{identifier(name)} varchar' for name in columns)})")
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        con.executemany(f"insert into texts values ({', '.join('?' * len(columns))})", rows)
        return profile_table(con, "texts", entity)


def column_of(*texts: str | None, name: str = "column") -> ColumnProfile:
    """One column with these texts."""
    return profile_of("texts", **{name: list(texts)}).columns[0]
