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
from warehouse.raw import column_name
from warehouse.readers.parquet_file import PULL_METADATA, REJECTED_COLUMNS
from warehouse.readers.table_file import VALUE_CHARACTERS, RejectedLine, TableFile
from warehouse.sources.recorded import Pulled
from warehouse.sources.target import TableColumns, Target
from warehouse.sql.quoting import identifier, literal


@dataclass(frozen=True)
class Counted:
    """Rows of a pull. ``n_read``: all; ``n_new``: new or changed; ``n_rejected``: those that cannot be taken, and were
    not known before; ``n_older``: those of which the same pull read a newer version.
    """

    n_read: int
    n_new: int
    n_rejected: int = 0
    n_older: int = 0


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
    reads again, are not loaded twice, and a row that changes back is. Rows without a row key, or with a key that
    several rows have, are rejected, each once. Raises PullError if the first pull finds no others.
    """
    key = [identifier(column) for column in str(pulled.row_key).split(", ")]
    schema = pa.schema([*((column, pa.string()) for column in columns), ("_line", pa.int64())])
    con.register("incoming", pa.RecordBatchReader.from_batches(schema, read.batches(columns)))
    nulls = "".join(f", null::varchar as {identifier(column)}" for column in absent)
    columns = (*columns, *absent)
    names = ", ".join(map(identifier, columns))
    con.execute(
        f"create or replace temp table pulled_rows as select * exclude (_line){nulls}, _line as _position from incoming"
    )
    n_read = _count(con, "temp.pulled_rows") + len(read.rejected)
    # pages that shift while they are read bring a row twice, equal to the last character
    con.execute(
        f"create or replace temp table distinct_rows as select {names}, min(_position) as _position "
        "from pulled_rows group by all"
    )
    cursor = column_name(pulled.cursor_column) if pulled.cursor_column else None
    n_older = _set_aside(con, columns, key, cursor, read.rejected)
    if not known.first and not _count(con, "temp.distinct_rows"):
        raise _no_rows(con, target, key)
    con.execute(
        f"create or replace temp table new_rows as select {names}, _position from distinct_rows "
        + (f"where not exists ({_same_version(target, known, columns, key)})" if known.first else "")
    )
    con.execute(f"delete from rejected_rows where (left(_value, {VALUE_CHARACTERS}), _reason) in ({_rejected(target)})")
    n_new, n_rejected = (_count(con, f"temp.{table}") for table in ("new_rows", "rejected_rows"))
    if n_new or n_rejected:
        draft = draft_file(path)
        rows = f"select {names} from new_rows order by _position"
        if n_rejected:
            value, reason = REJECTED_COLUMNS
            rows = (
                f"select * exclude (_position) from (select * from new_rows union all by name select _position, "
                f"_value as {value}, _reason as {reason} from rejected_rows) order by _position"
            )
        con.execute(
            f"copy ({rows}) to {literal(str(draft))} "
            f"(format parquet, compression zstd, kv_metadata {{{PULL_METADATA.decode()}: {literal(_written(pulled))}}})"
        )
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.chmod(stat.S_IRUSR)
        draft.rename(path)
    return Counted(n_read, n_new, n_rejected, n_older)


def pull_of(path: Path) -> Pulled | None:
    """What a landing file says of the pull that wrote it; None for any other file."""
    try:
        found = (pq.read_metadata(path).metadata or {}).get(PULL_METADATA)
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


def _set_aside(
    con: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    key: Sequence[str],
    cursor: str | None,
    rejected: Sequence[RejectedLine],
) -> int:
    """Move rows whose versions cannot be told apart from ``distinct_rows`` to ``rejected_rows``, with the reason.

    Of several rows with one key, the one with the highest cursor value is the newest: a row may change while pages are
    read. The number of the older ones, which are left out, is returned.
    """
    words, names = ", ".join(name.strip('"') for name in key), ", ".join(key)
    row = f"to_json({{{', '.join(f'{literal(column)}: {identifier(column)}' for column in columns)}}})::varchar"
    # numbers and times of one kind, as the cursor's texts were checked to be
    text = identifier(cursor) if cursor else "null::varchar"
    order = f"coalesce(try_cast({text} as decimal(38, 9)), epoch_us(try_cast({text} as timestamp)))"
    has_key = " and ".join(f"{name} is not null" for name in key)
    con.execute(
        "create or replace temp table several as with repeated as ("
        f"select {names}, _position, {order} as _order from distinct_rows semi join "
        f"(select {names} from distinct_rows where {has_key} group by all having count(*) > 1) using ({names})), "
        f"numbered as (select *, count(*) filter (_order is null) over (partition by {names}) as n_without, "
        f"max(_order) over (partition by {names}) as _newest from repeated) "
        f"select _position, _order = _newest as is_newest, n_without > 0 "
        f"or count(*) filter (_order = _newest) over (partition by {names}) > 1 as is_ambiguous from numbered"
    )
    con.execute(
        "create or replace temp table rejected_rows as "
        f"select _position, {row} as _value, "
        f"{literal(f'no value of the row key {words}')} as _reason from distinct_rows where not ({has_key}) "
        f"union all select _position, {row}, "
        f"{literal(f'the row key {words} names several rows that differ')} "
        "from distinct_rows join several using (_position) where is_ambiguous"
    )
    if rejected:
        con.register("unread", pa.Table.from_pylist([asdict(each) for each in rejected]))
        con.execute("insert into rejected_rows select line, value, reason from unread")
    con.execute("delete from distinct_rows where _position in (select _position from rejected_rows)")
    older = "several where not is_ambiguous and not is_newest"
    con.execute(f"delete from distinct_rows where _position in (select _position from {older})")
    return _count(con, older)


def _rejected(target: Target) -> str:
    """SQL of the rejected rows of earlier pulls, which are read again and are not another loss."""
    return (
        "select value, reason from raw.rejected_lines as lines semi join raw.files as files "
        "on files.source = lines.source and files.entity = lines.entity and files.file = lines.file "
        f"and files.pulled_at is not null where source = {literal(target.source)} and entity = {literal(target.entity)}"
    )


def _no_rows(con: duckdb.DuckDBPyConnection, target: Target, key: Sequence[str]) -> PullError:
    words = ", ".join(name.strip('"') for name in key)
    found = con.execute(
        "select string_agg(format('{} in {:,} rows', _reason, n), '; ') from "
        "(select _reason, count(*) as n from rejected_rows group by all order by n desc limit 3)"
    ).fetchone()
    return PullError(
        f"{target.source} {target.entity}: the row key {words} must have a value that names one row: found no such "
        f"row, but {(found and found[0]) or 'none at all'}; nothing was loaded. Correct "
        f"pulls.{target.entity}.row_key, or the source"
    )


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    row = con.execute(f"select count(*) from {rows}").fetchone()
    return int(row[0]) if row else 0
