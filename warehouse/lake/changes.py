"""What of the lake has changed since a snapshot: what lets a build, or a measurement, be left out when nothing has."""

import duckdb

from warehouse.lake.connection import CATALOG

_METADATA = f"__ducklake_metadata_{CATALOG}"
#: Changes that name schemas, not tables, and those that change files but no row.
_NOT_OF_ROWS = {"schemas_created", "schemas_dropped", "merge_adjacent", "rewrite_delete"}


def changed_tables(con: duckdb.DuckDBPyConnection, *, after: int) -> frozenset[str]:
    """``schema.table`` of every table and view created, dropped, altered or written in snapshots later than ``after``.

    ``after`` 0 gives every table there ever was.
    """
    changes = con.execute(
        "select distinct entry.key, unnest(entry.value) from ("
        f"select unnest(map_entries(changes)) as entry from ducklake_snapshots('{CATALOG}') where snapshot_id > $1)",
        [after],
    ).fetchall()
    named = {subject for kind, subject in changes if kind not in _NOT_OF_ROWS}
    numbers = [int(subject) for subject in named if subject.isdigit()]
    names = con.execute(
        f"select distinct schemas.schema_name || '.' || tables.table_name from {_METADATA}.ducklake_table as tables "
        f"join {_METADATA}.ducklake_schema as schemas using (schema_id) "
        "where list_contains($1::bigint[], tables.table_id)",
        [numbers],
    ).fetchall()
    return frozenset({subject for subject in named if not subject.isdigit()} | {name for (name,) in names})


def all_kept(con: duckdb.DuckDBPyConnection, *, after: int) -> bool:
    """Whether no snapshot later than ``after`` has expired: only then does :func:`changed_tables` name every change."""
    row = con.execute(
        f"select count(*) = coalesce(max(snapshot_id) - $1, 0) "
        f"from ducklake_snapshots('{CATALOG}') where snapshot_id > $1",
        [after],
    ).fetchone()
    return bool(row and row[0])


def changed_rows(con: duckdb.DuckDBPyConnection, table: str, *, after: int) -> str | None:
    """SQL of the rows of ``schema.table`` that were written or taken away in snapshots later than ``after``.

    None if it is unknown: the table was rebuilt since, or a snapshot from ``after`` on has expired.
    """
    schema, _, name = table.partition(".")
    row = con.execute(
        f"""
        select
            (select max(snapshot_id) from ducklake_snapshots('{CATALOG}')),
            (select count(*) from ducklake_snapshots('{CATALOG}') where snapshot_id >= $1),
            (
                select min(versions.begin_snapshot)
                from {_METADATA}.ducklake_table as tables
                join {_METADATA}.ducklake_schema as schemas using (schema_id)
                join {_METADATA}.ducklake_table as versions using (table_id)
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
    # maintenance that rewrites files without their deleted rows changes none, though it shows as if it had
    return f"""(
        select * from ducklake_table_changes('{CATALOG}', '{schema}', '{name}', {after + 1}, {newest})
        where snapshot_id not in (
            select snapshot_id from ducklake_snapshots('{CATALOG}') where map_contains(changes, 'rewrite_delete')
        )
    )"""
