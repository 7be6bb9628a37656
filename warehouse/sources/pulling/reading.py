"""Read a source into a draft, a file of exact texts, with the furthest cursor value of its rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import PullError
from warehouse.lenders.connections import ConnectionSettings, PullSettings
from warehouse.sources.pulling import database, http_api
from warehouse.sources.pulling.texts import Furthest, json_text, text_of

_Rows = Iterator[Sequence[Mapping[str, Any]]]


def address(connection: ConnectionSettings, declared: PullSettings) -> str:
    """Where the rows come from, as ``raw.files`` has it."""
    found = database.address if declared.is_of_table else http_api.address
    return found(connection, declared)


def read_into(
    draft: Path, connection: ConnectionSettings, declared: PullSettings, cursor: str | None, furthest: Furthest
) -> int:
    """Read the rows from ``cursor`` on into a draft; returns their number, 0 where it wrote nothing to load.

    Raises PullError for a source that cannot be read, SettingError for a missing secret.
    """
    read, write = (database.read_table, _write_table) if declared.is_of_table else (http_api.read_pages, _write_objects)
    n_rows = write(read(declared.connection, connection, declared, cursor), draft, declared, furthest)
    if not declared.is_of_table:  # the type of a table's column was looked at
        furthest.require_any()
    return n_rows


def _write_table(rows: _Rows, draft: Path, declared: PullSettings, furthest: Furthest) -> int:
    n_rows, writer = 0, None
    try:
        for chunk in rows:
            columns = {column: pa.array(_texts(column, chunk), pa.string()) for column in chunk[0]}
            if declared.cursor is not None:
                furthest.see(columns[declared.cursor].to_pylist())
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(draft, table.schema)
            writer.write_table(table)
            n_rows += len(chunk)
    finally:
        if writer is not None:
            writer.close()
    return n_rows


def _texts(column: str, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    try:
        return [text_of(row[column]) for row in rows]
    except ValueError as error:
        raise PullError(
            f"the column {column} must have values that have an exact text: found {error}; nothing was loaded. "
            "Cast it in a view, or leave it out of `columns`"
        ) from None


def _write_objects(rows: _Rows, draft: Path, declared: PullSettings, furthest: Furthest) -> int:
    """As JSON lines, whose reader knows what the keys of all rows together are, and rejects what is not an object."""
    n_rows, n_objects, example = 0, 0, ""
    with draft.open("w", encoding="utf-8") as file:
        for page in rows:
            objects = [row for row in page if isinstance(row, dict)]
            if declared.cursor is not None:
                furthest.see(text_of(row.get(declared.cursor)) for row in objects)
            lines = [json_text(row) for row in page]
            file.writelines(f"{line}\n" for line in lines)
            n_rows, n_objects, example = n_rows + len(page), n_objects + len(objects), example or "".join(lines[:1])
    if n_rows and not n_objects:
        raise PullError(
            f"{declared.items} of {declared.path} must be a list of objects: found {example[:80]} in the first of "
            f"{n_rows:,} rows, and no object; nothing was loaded. Check items"
        )
    return n_rows
