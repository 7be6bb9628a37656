"""What changed in the lake since a snapshot, so that unneeded builds and measurements can be skipped."""

import duckdb

from warehouse.lake.tables import CATALOG, METADATA

#: Changes that name schemas, not tables, and those that change files but not rows.
_NOT_OF_ROWS = {"schemas_created", "schemas_dropped", "merge_adjacent", "rewrite_delete"}


def changed_tables(con: duckdb.DuckDBPyConnection, *, after: int) -> frozenset[str]:
    """``schema.table`` of tables and views created, dropped, altered or written after snapshot ``after`` (0: all)."""
    changes = con.execute(
        "select distinct entry.key, unnest(entry.value) from ("
        f"select unnest(map_entries(changes)) as entry from ducklake_snapshots('{CATALOG}') where snapshot_id > $1)",
        [after],
    ).fetchall()
    named = {subject for kind, subject in changes if kind not in _NOT_OF_ROWS}
    numbers = [int(subject) for subject in named if subject.isdigit()]
    names = con.execute(
        f"select distinct schemas.schema_name || '.' || tables.table_name from {METADATA}.ducklake_table as tables "
        f"join {METADATA}.ducklake_schema as schemas using (schema_id) "
        "where list_contains($1::bigint[], tables.table_id)",
        [numbers],
    ).fetchall()
    return frozenset({subject for subject in named if not subject.isdigit()} | {name for (name,) in names})


def all_kept(con: duckdb.DuckDBPyConnection, *, after: int) -> bool:
    """Whether no later snapshot than ``after`` has expired: only then is :func:`changed_tables` complete."""
    row = con.execute(
        f"select count(*) = coalesce(max(snapshot_id) - $1, 0) "
        f"from ducklake_snapshots('{CATALOG}') where snapshot_id > $1",
        [after],
    ).fetchone()
    return bool(row and row[0])


def changed_rows(con: duckdb.DuckDBPyConnection, table: str, *, after: int) -> str | None:
    """SQL of a table's rows written or deleted after a snapshot; None if rebuilt or expired since."""
    schema, _, name = table.partition(".")
    row = con.execute(
        f"""
        select
            (select max(snapshot_id) from ducklake_snapshots('{CATALOG}')),
            (select count(*) from ducklake_snapshots('{CATALOG}') where snapshot_id >= $1),
            (
                select min(versions.begin_snapshot)
                from {METADATA}.ducklake_table as tables
                join {METADATA}.ducklake_schema as schemas using (schema_id)
                join {METADATA}.ducklake_table as versions using (table_id)
                where tables.end_snapshot is null and schemas.end_snapshot is null
                    and schemas.schema_name = $2 and tables.table_name = $3
            )""",
        [after, schema, name],
    ).fetchone()
    newest, n_kept, made_at = row or (0, 0, None)
    if made_at is None or made_at > after or n_kept != newest - after + 1:
        return None
    if newest == after:
        return f"(select * from {table} where false)"
    # maintenance that rewrites files without their deleted rows changes no rows, though it is listed as a change
    return f"""(
        select * from ducklake_table_changes('{CATALOG}', '{schema}', '{name}', {after + 1}, {newest})
        where snapshot_id not in (
            select snapshot_id from ducklake_snapshots('{CATALOG}') where map_contains(changes, 'rewrite_delete')
        )
    )"""
