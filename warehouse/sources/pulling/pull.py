"""Pull what a lender's file declares: read, land, load; killed at any point, the next pull loses and doubles nothing.

1. The lake says how far the last pull came (``cursor_to`` of its newest pulled file).
2. Rows from there on are read into a draft, and new or changed ones become a landing file by one rename.
3. The file is loaded as any other; its rows and its cursor are one transaction.

Killed before the rename, nothing was there; after it, the next pull loads the file first; after the commit, it is
known.
"""

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from warehouse.errors import LakeBusyError, LoanlakeError, NoLakeError, PullError, SettingError, SourceFileError
from warehouse.files.drafts import draft_file, remove_abandoned
from warehouse.files.turns import file_turn_if_free
from warehouse.lake import connection as lake
from warehouse.lenders.connections import ConnectionSettings, PullSettings
from warehouse.lenders.files import FileSettings
from warehouse.lenders.lender import Lender
from warehouse.lenders.rules import read_lender
from warehouse.raw import column_name
from warehouse.readers.opening import open_table
from warehouse.settings import Settings
from warehouse.sources.ingest import IngestResult, ingest_pulled
from warehouse.sources.pulling.changes import Counted, pull_of, write_changes
from warehouse.sources.pulling.engine import require_dlt
from warehouse.sources.pulling.reading import address, read_into
from warehouse.sources.pulling.texts import Furthest
from warehouse.sources.recorded import Pulled, newest_pull
from warehouse.sources.target import TableColumns, Target, table_columns, target_of


@dataclass(frozen=True)
class PullResult:
    """One entity's pull. ``n_read``: rows that the source gave; ``loaded``: the files that became raw rows, if any.

    ``notices``: of the cursor column, and of rows that were left out. ``cursor_to``: where the next pull begins; None
    without a cursor, or any row.
    """

    source: str
    entity: str
    pulled_from: str
    n_read: int
    cursor_to: str | None
    seconds: float
    loaded: tuple[IngestResult, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def n_loaded(self) -> int:
        """Rows that were new or had changed."""
        return sum(result.n_rows for result in self.loaded)


@dataclass(frozen=True)
class _Declared:
    """What is pulled, and where to."""

    target: Target
    settings: Settings
    connection: ConnectionSettings
    pull: PullSettings
    file_settings: FileSettings

    @property
    def folder(self) -> Path:
        """Where its files land."""
        return self.settings.landing / self.target.source / self.target.entity


def pull(
    source: str,
    settings: Settings,
    entity: str | None = None,
    report: Callable[[PullResult], object] | None = None,
) -> list[PullResult]:
    """Pull each entity that the lender's file declares, or one; ``report`` is called after each.

    An entity that fails does not stop the others. Raises PullError with all failures at the end; SettingError for an
    undeclared entity, a missing secret or missing packages; LakeBusyError if another pull of it is under way.
    """
    lender = read_lender(source)
    entities = _entities(lender, source, entity)
    require_dlt()
    _require_lake(source, settings)
    results: list[PullResult] = []
    failed: list[LoanlakeError] = []
    for each in entities:
        declared = _Declared(
            target_of(source, each),
            settings,
            lender.connections[lender.pulls[each].connection],
            lender.pulls[each],
            lender.files.get(each, FileSettings()),
        )
        try:
            result = _pull(declared)
        except (PullError, SettingError, SourceFileError, LakeBusyError) as error:
            failed.append(error)
            continue
        results.append(result)
        if report is not None:
            report(result)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise PullError(f"{len(failed)} of {len(entities)} pulls failed: {'; '.join(map(str, failed))}")
    return results


def _entities(lender: Lender, source: str, entity: str | None) -> tuple[str, ...]:
    if entity is None and lender.pulls:
        return tuple(lender.pulls)
    if entity in lender.pulls:
        return (str(entity),)
    near = difflib.get_close_matches(entity or "", lender.pulls, n=1)
    found = f"{entity}{f', did you mean {near[0]}?' if near else ''}" if entity else "none"
    raise SettingError(
        f"{lender.path} must declare what is pulled for {source}, under `connections` and `pulls`: found {found} among "
        f"{', '.join(lender.pulls) or 'no pulls'}; docs/connections.md shows how"
    )


def _pull(declared: _Declared) -> PullResult:
    started, target = time.monotonic(), declared.target
    with _turn(declared):
        declared.folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(declared.folder)
        known, pulled = _begin(declared)
        loaded = []
        for path in _unloaded(declared):
            if (done := _load(declared, path, pulled)) is not None:
                loaded.append(done)
                known, pulled = _begin(declared)
        furthest = Furthest(str(declared.pull.cursor), pulled.cursor_from, pulled.pulled_at.replace(tzinfo=UTC))
        path = declared.folder / f"{target.entity}-{pulled.pulled_at:%Y%m%dT%H%M%S%f}Z.parquet"
        counted, pulled = _land(declared, known, pulled, furthest, path)
        if (counted.n_new or counted.n_rejected) and (done := _load(declared, path, pulled)) is not None:
            loaded.append(done)
    return PullResult(
        source=target.source,
        entity=target.entity,
        pulled_from=pulled.pulled_from,
        n_read=counted.n_read,
        cursor_to=pulled.cursor_to,
        seconds=time.monotonic() - started,
        loaded=tuple(loaded),
        notices=(*_notices(counted), *(furthest.notices() if declared.pull.cursor is not None else ())),
    )


def _notices(counted: Counted) -> Iterator[str]:
    if counted.n_older:
        yield f"rows that changed while they were read: {counted.n_older:,}; the newest version of each was taken"


def _require_lake(source: str, settings: Settings) -> None:
    """Make the lake that rows are compared with; a team's database is there before its lake is."""
    try:
        with lake.connect(settings):
            return
    except NoLakeError:
        with lake.writer(f"pull {source}", settings):
            pass


@contextmanager
def _turn(declared: _Declared) -> Iterator[None]:
    source, entity = declared.target.source, declared.target.entity
    with file_turn_if_free(declared.settings.home / "locks" / f"pull-{source}-{entity}.lock") as is_ours:
        if not is_ours:
            raise LakeBusyError(f"one pull at a time reads {source} {entity}: another is doing it; wait for it to end")
        yield


def _begin(declared: _Declared) -> tuple[TableColumns, Pulled]:
    """The raw table's columns, and the pull that begins where the lake's newest one ended."""
    target, now = declared.target, datetime.now(UTC).replace(tzinfo=None)
    with lake.connect(declared.settings) as con:
        newest, known = newest_pull(con, target.source, target.entity), table_columns(con, target)
    # another source or column has other values, and by another key other rows were rejected: all rows are read again,
    # and those that are loaded are not new
    address_now, column = address(declared.connection, declared.pull), declared.pull.cursor
    row_key = ", ".join(map(column_name, declared.pull.row_key))
    continues = newest is not None and (
        (newest.pulled_from, newest.cursor_column, newest.row_key) == (address_now, column, row_key)
    )
    cursor = newest.cursor_to if newest is not None and continues else None
    return known, Pulled(
        pulled_from=address_now,
        pulled_at=now,
        cursor_column=column,
        cursor_from=cursor,
        cursor_to=cursor,
        row_key=row_key,
        after=newest.file if newest is not None else None,
    )


def _unloaded(declared: _Declared) -> list[Path]:
    """Whole landing files of pulls that were killed before they were loaded."""
    target = declared.target
    found = sorted(declared.folder.glob(f"{target.entity}-*Z.parquet"))
    if not found:
        return []
    with lake.connect(declared.settings) as con:
        loaded = con.execute(
            "select file from raw.files where source = $1 and entity = $2", [target.source, target.entity]
        ).fetchall()
    return [path for path in found if (path.name,) not in loaded]


def _load(declared: _Declared, path: Path, pulled: Pulled) -> IngestResult | None:
    """Load a landed pull; None if it did not begin where ``pulled`` does, so that its rows are read again."""
    found = pull_of(path)
    if found is None:
        return None  # a file as received, of a similar name
    if found.after != pulled.after:
        path.unlink()
        return None
    try:
        return ingest_pulled(declared.target, path, declared.settings, found)
    except LakeBusyError:
        raise
    except LoanlakeError:
        path.unlink(missing_ok=True)  # its rows are read again once the cause is mended
        raise


def _land(
    declared: _Declared, known: TableColumns, pulled: Pulled, furthest: Furthest, path: Path
) -> tuple[Counted, Pulled]:
    """Read the source, and write what is new or changed to the landing file ``path``."""
    draft = draft_file(path.with_suffix(".read"))
    try:
        if not read_into(draft, declared.connection, declared.pull, pulled.cursor_from, furthest):
            return Counted(0, 0), pulled
        file = open_table(draft)
        _require_columns(file.columns, declared.pull)
        if declared.pull.cursor is not None:
            pulled = replace(pulled, cursor_to=furthest.text)
        columns = _columns(declared, file.columns, known)
        # an object may lack a key; a table may not lose a column
        absent = [] if declared.pull.is_of_table else [column for column in known.first if column not in columns]
        with lake.connect(declared.settings) as con:
            counted = write_changes(
                con, declared.target, known, file, columns=columns, absent=absent, pulled=pulled, path=path
            )
        return counted, pulled
    finally:
        draft.unlink(missing_ok=True)


def _columns(declared: _Declared, found: Sequence[str], known: TableColumns) -> tuple[str, ...]:
    """The columns that the raw table keeps."""
    if declared.target.columns is not None:
        return tuple(column for column in found if column in declared.target.columns)
    if declared.file_settings.new_columns == "ignore" and known.first:
        return tuple(column for column in found if column in {*known.first, *known.later})
    return tuple(found)


def _require_columns(found: Sequence[str], declared: PullSettings) -> None:
    for column in (*declared.row_key, *filter(None, [declared.cursor])):
        if column_name(column) not in found:
            near = difflib.get_close_matches(column_name(column), found, n=1)
            known = f", did you mean {near[0]}?" if near else f"; there are {', '.join(found[:20])}"
            raise PullError(
                f"the rows of {declared.path or declared.table} must have {column}: found none{known}; nothing was "
                "loaded. Correct row_key or cursor"
            )
