"""Which tables of the lake have changed since a snapshot: what lets a build be left out when nothing has."""

import duckdb

from warehouse.lake import CATALOG

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
