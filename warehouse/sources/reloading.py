"""Reload raw rows from the landing files if their data file in the lake is lost or damaged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from warehouse.errors import SourceFileError
from warehouse.lake.comments import write_comments
from warehouse.lake.connection import CATALOG, connect, writer
from warehouse.lake.data_files import lost_files
from warehouse.raw import create_raw_table
from warehouse.readers.table_file import TableFile
from warehouse.settings import Settings
from warehouse.sources.ingest import insert_rows
from warehouse.sources.landing import checksum
from warehouse.sources.recorded import open_landed
from warehouse.sources.target import Target, add_columns, table_columns, target_of

#: Tables in the schema raw that the platform writes, and landing files cannot restore.
_NOT_FROM_LANDING = {"raw.files", "raw.rejected_lines", "raw.quarantine"}


@dataclass(frozen=True)
class Reloaded:
    """A reloaded raw table. ``n_rows_before``: rows of its files when they were first loaded."""

    table: str
    n_files: int
    n_rows: int
    n_rows_before: int


@dataclass(frozen=True)
class _Landed:
    """A file in ``raw.files``, by either checksum: an erasure blanks lines of it and stores the new checksum."""

    file: str
    checksums: tuple[str | None, str | None]
    n_rows: int
    loaded_at: datetime


def damaged_raw_tables(settings: Settings, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Raw tables of landing files that cannot be read whole; reads every row. ``say`` gets the reasons."""
    with connect(settings) as con:
        lost = lost_files(con, settings)
        damaged = {each.table for each in lost} & set(_raw_tables(con))
        for each in lost:
            say(str(each))
        for table in sorted(set(_raw_tables(con)) - damaged):
            try:
                con.execute(f"select bit_xor(hash(rows)) from {table} as rows").fetchall()
            except duckdb.Error as error:
                say(f"{table}: {' '.join(str(error).split())}")
                damaged.add(table)
    return sorted(damaged)


def reload_table(settings: Settings, table: str) -> Reloaded:
    """Replace a raw table by the content of its landing files, in one transaction for readers.

    Files keep their first load time, so that of two rows with one key the same one still counts. Raises SourceFileError
    if a landing file is missing or differs from the loaded one; then nothing changes.
    """
    with writer(f"load {table} again", settings) as con:
        target, landed = _landed(con, table)
        readers = [_reader(con, settings, target, each) for each in landed]
        known = table_columns(con, target)
        con.execute("begin")
        con.execute(f"drop table {table}")
        create_raw_table(con, table, known.first)
        add_columns(con, target, known.later)
        write_comments(con)
        n_rows = 0
        for each, reader in zip(landed, readers, strict=True):
            columns = tuple(column for column in (*known.first, *known.later) if column in reader.columns)
            n_rows += insert_rows(con, target, reader, columns, each.loaded_at)
        con.execute("commit")
    return Reloaded(table, len(landed), n_rows, sum(each.n_rows for each in landed))


def _raw_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    found = con.execute(
        "select 'raw.' || table_name from information_schema.tables where table_catalog = $1 and table_schema = 'raw' "
        "and table_type = 'BASE TABLE'",
        [CATALOG],
    ).fetchall()
    named = con.execute("select distinct 'raw.' || source || '_' || entity from raw.files").fetchall()
    return sorted({name for (name,) in found} & {name for (name,) in named} - _NOT_FROM_LANDING)


def _landed(con: duckdb.DuckDBPyConnection, table: str) -> tuple[Target, Sequence[_Landed]]:
    rows = con.execute(
        "select source, entity, file, sha256, erased_sha256, n_rows, loaded_at from raw.files "
        "where 'raw.' || source || '_' || entity = $1 order by loaded_at",
        [table],
    ).fetchall()
    if not rows:
        raise SourceFileError(f"{table} must be a raw table that landing files were loaded into: raw.files names none")
    source, entity = rows[0][:2]
    return target_of(source, entity), [
        _Landed(file, (sha256, erased), int(n_rows), loaded_at)
        for _, _, file, sha256, erased, n_rows, loaded_at in rows
    ]


def _reader(con: duckdb.DuckDBPyConnection, settings: Settings, target: Target, landed: _Landed) -> TableFile:
    path = settings.landing / target.source / target.entity / landed.file
    if not path.exists():
        found = "it is missing"
    elif (sha256 := checksum(path)) not in landed.checksums:
        found = f"found a file of the checksum {sha256[:12]}…"
    else:
        return open_landed(con, settings.landing, target.source, target.entity, landed.file)
    raise SourceFileError(
        f"{path} must be the file that was loaded on {landed.loaded_at:%Y-%m-%d %H:%M} UTC, of the checksum "
        f"{str(landed.checksums[0])[:12]}…: {found}. Restore it, or give the original to `loanlake ingest "
        f"{target.source} FILE --entity {target.entity}`, which lands it again; nothing was changed"
    )
