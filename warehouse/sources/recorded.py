"""How loaded files were read, kept in ``raw.files``: their landing files are read again in the same way.

A file that was pulled from a database or an API has its origin there too: how far a source was read is committed with
the rows themselves, and nowhere else.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from warehouse.errors import LakeBusyError
from warehouse.raw import SOURCES
from warehouse.readers.opening import open_table
from warehouse.readers.table_file import FileLayout, TableFile

if TYPE_CHECKING:
    import duckdb

#: Columns of ``raw.files`` with a layout, in the order of :class:`FileLayout`.
LAYOUT_COLUMNS = ("format", "encoding", "delimiter", "title_lines", "sheet")
#: Those with the origin of a pulled file; null for any other.
PULL_COLUMNS = ("pulled_from", "pulled_at", "cursor_column", "cursor_from", "cursor_to", "row_key")


class Origin(Protocol):
    """Where a landing file's rows come from, if it was not received as a file."""

    def settled(self, con: "duckdb.DuckDBPyConnection", source: str, entity: str) -> "Pulled":
        """What ``raw.files`` gets, within the transaction; raises LakeBusyError if its rows may be there already."""


@dataclass(frozen=True)
class Pulled:
    """Where a landing file's rows come from; ``pulled_at``: UTC, before the first row was read.

    ``cursor_from``, ``cursor_to``: the value of ``cursor_column`` that the pull began and ended with. ``row_key``: the
    raw columns that name a row of the source; None for messages. ``after``: the entity's pulled file before it, as the
    lake had it.
    """

    pulled_from: str
    pulled_at: datetime
    cursor_column: str | None
    cursor_from: str | None
    cursor_to: str | None
    row_key: str | None
    after: str | None = None

    def settled(self, con: "duckdb.DuckDBPyConnection", source: str, entity: str) -> "Pulled":
        """The pull itself; raises LakeBusyError unless the lake is as it was when it began.

        Two pulls at the same time, such as on two machines of a team, would otherwise both load the same rows.
        """
        newest = newest_pull(con, source, entity)
        if (newest.file if newest else None) != self.after:
            raise LakeBusyError(
                f"one pull at a time loads {source} {entity}: another loaded {newest.file if newest else 'nothing'} "
                "meanwhile; nothing of this one was loaded. Pull again"
            )
        return self


@dataclass(frozen=True)
class NewestPull:
    """The newest pulled file of an entity in the lake, and how far it came."""

    file: str
    pulled_from: str
    cursor_column: str | None
    cursor_to: str | None
    row_key: str


def newest_pull(con: "duckdb.DuckDBPyConnection", source: str, entity: str) -> NewestPull | None:
    """The newest pull of an entity that the lake has; None before the first."""
    row = con.execute(
        "select file, pulled_from, cursor_column, cursor_to, row_key from raw.files "
        "where source = $1 and entity = $2 and pulled_at is not null order by loaded_at desc, file desc limit 1",
        [source, entity],
    ).fetchone()
    return None if row is None else NewestPull(*row)


def open_landed(con: "duckdb.DuckDBPyConnection", landing: Path, source: str, entity: str, file: str) -> TableFile:
    """A landing file, read as it was when it was loaded; raises SourceFileError if it cannot be."""
    row = con.execute(
        f"select {', '.join(LAYOUT_COLUMNS)} from raw.files where source = $1 and entity = $2 and file = $3",
        [source, entity, file],
    ).fetchone()
    declared = FileLayout(*row).settings if row is not None else None
    known = SOURCES.get(source)
    return open_table(landing / source / entity / file, declared, notes=known.notes if known is not None else ())


def pull_texts(con: "duckdb.DuckDBPyConnection", source: str | None = None) -> list[str]:
    """The newest pull of each entity in words, of one lender or all; none in a lake of files alone."""
    rows = con.execute(
        "select source, entity, pulled_from, pulled_at, cursor_to from raw.files "
        "where pulled_at is not null and ($1 is null or source = $1) "
        "qualify row_number() over (partition by source, entity order by loaded_at desc, file desc) = 1 "
        "order by source, entity",
        [source],
    ).fetchall()
    return [
        f"{lender} {entity}: newest rows pulled {pulled_at:%Y-%m-%d %H:%M} UTC from {pulled_from}"
        + (f", up to {cursor_to}" if cursor_to else "")
        for lender, entity, pulled_from, pulled_at, cursor_to in rows
    ]
