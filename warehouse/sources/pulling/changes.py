"""From what a pull read to a landing file of the rows that are new or have changed since they were loaded."""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import PullError
from warehouse.files.drafts import draft_file
from warehouse.readers.table_file import TableFile
from warehouse.sources.recorded import Pulled
from warehouse.sources.target import TableColumns, Target
from warehouse.sql.quoting import identifier, literal

#: Key of a landing file's Parquet metadata under which its :class:`Pulled` stands.
_METADATA = "loanlake_pull"


@dataclass(frozen=True)
class Counted:
    """Rows of a pull. ``n_read``: all; ``n_new``: new or changed, which the landing file has."""

    n_read: int
    n_new: int


def write_changes(
    con: duckdb.DuckDBPyConnection,
    target: Target,
    known: TableColumns,
    read: TableFile,
    *,
    columns: Sequence[str],
    absent: Sequence[str],
    pulled: Pulled,
    path: Path,
) -> Counted:
    """Write the landing file at ``path`` of these ``columns``, whole or not at all; no file without a new row.

    ``absent``: columns of the raw table that this pull does not have: null in its rows.
    A row is new if it differs from the newest pulled version of its key: rows at the cursor's boundary, which each pull
    reads again, are not loaded twice, and a row that changes back is. Raises PullError if the row key is missing in a
    row, or names two rows.
    """
    key = [identifier(column) for column in str(pulled.row_key).split(", ")]
    schema = pa.schema([*((column, pa.string()) for column in columns), ("_line", pa.int64())])
    con.register("incoming", pa.RecordBatchReader.from_batches(schema, read.batches(columns)))
    nulls = "".join(f", null::varchar as {identifier(column)}" for column in absent)
    columns = (*columns, *absent)
    names = ", ".join(map(identifier, columns))
    # pages that shift while they are read bring a row twice, equal to the last character
    con.execute(
        f"create or replace temp table pulled_rows as select * exclude (_line){nulls}, _line as _position from incoming"
    )
    con.execute(
        f"create or replace temp table distinct_rows as select {names}, min(_position) as _position "
        "from pulled_rows group by all"
    )
    _require_key(con, target, key)
    con.execute(
        f"create or replace temp table new_rows as select {names}, _position from distinct_rows "
        + (f"where not exists ({_same_version(target, known, columns, key)})" if known.first else "")
    )
    n_read, n_new = (_count(con, f"temp.{table}") for table in ("pulled_rows", "new_rows"))
    if n_new:
        draft = draft_file(path)
        con.execute(
            f"copy (select {names} from new_rows order by _position) to {literal(str(draft))} "
            f"(format parquet, compression zstd, kv_metadata {{{_METADATA}: {literal(_written(pulled))}}})"
        )
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.chmod(stat.S_IRUSR)
        draft.rename(path)
    return Counted(n_read, n_new)


def pull_of(path: Path) -> Pulled | None:
    """What a landing file says of the pull that wrote it; None for any other file."""
    try:
        found = (pq.read_metadata(path).metadata or {}).get(_METADATA.encode())
    except (pa.ArrowException, OSError):
        return None
    if found is None:
        return None
    values = json.loads(found)
    return Pulled(**{**values, "pulled_at": datetime.fromisoformat(values["pulled_at"])})


def _written(pulled: Pulled) -> str:
    return json.dumps({**asdict(pulled), "pulled_at": pulled.pulled_at.isoformat()})


def _same_version(target: Target, known: TableColumns, columns: Sequence[str], key: Sequence[str]) -> str:
    """SQL of the newest pulled version of a row's key, if it has the same values; a column it lacks is null.

    A correction that came as a file is not a version of the source's: compared with it, the row would undo it.
    """
    loaded = {*known.first, *known.later}
    values = ", ".join(
        f"{identifier(column) if column in loaded else 'null'} as {identifier(column)}" for column in columns
    )
    keys = ", ".join(key)
    equal = " and ".join(
        f"newest.{name} is not distinct from distinct_rows.{name}" for name in map(identifier, columns)
    )
    return (
        f"with newest as (select {values} from {target.table} semi join distinct_rows using ({keys}) "
        f"where _file in (select file from raw.files where source = {literal(target.source)} "
        f"and entity = {literal(target.entity)} and pulled_at is not null) "
        f"qualify row_number() over (partition by {keys} order by _loaded_at desc, _file desc, _line desc) = 1) "
        f"select 1 from newest where {equal}"
    )


def _require_key(con: duckdb.DuckDBPyConnection, target: Target, key: Sequence[str]) -> None:
    n_missing = _count(con, "distinct_rows where " + " or ".join(f"{name} is null" for name in key))
    words = ", ".join(name.strip('"') for name in key)
    do = f"nothing was loaded. Correct pulls.{target.entity}.row_key, or the source"
    if n_missing:
        raise PullError(
            f"{target.source} {target.entity}: the row key {words} must have a value in each row: found none in "
            f"{n_missing:,} rows; {do}"
        )
    again = con.execute(
        f"select count(*), first(concat_ws(', ', {', '.join(key)})) from (select {', '.join(key)} from distinct_rows "
        "group by all having count(*) > 1)"
    ).fetchone()
    if again and again[0]:
        raise PullError(
            f"{target.source} {target.entity}: the row key {words} must name one row: found several different ones for "
            f"{again[0]:,} keys, such as {again[1]}; {do}"
        )


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    row = con.execute(f"select count(*) from {rows}").fetchone()
    return int(row[0]) if row else 0
