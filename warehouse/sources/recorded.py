"""How loaded files were read, kept in ``raw.files``: their landing files are read again in the same way."""

from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.raw import SOURCES
from warehouse.readers.opening import open_table
from warehouse.readers.table_file import FileLayout, TableFile

if TYPE_CHECKING:
    import duckdb

#: Columns of ``raw.files`` with a layout, in the order of :class:`FileLayout`.
LAYOUT_COLUMNS = ("format", "encoding", "delimiter", "title_lines", "sheet")


def open_landed(con: "duckdb.DuckDBPyConnection", landing: Path, source: str, entity: str, file: str) -> TableFile:
    """A landing file, read as it was when it was loaded; raises SourceFileError if it cannot be."""
    row = con.execute(
        f"select {', '.join(LAYOUT_COLUMNS)} from raw.files where source = $1 and entity = $2 and file = $3",
        [source, entity, file],
    ).fetchone()
    declared = FileLayout(*row).settings if row is not None else None
    known = SOURCES.get(source)
    return open_table(landing / source / entity / file, declared, notes=known.notes if known is not None else ())
