"""Stream the results of a batch from its file in the accepted format, never whole in memory."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from serving.http.problems import NotAcceptable

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
_ENDINGS = {JSON: "json", CSV: "csv", PARQUET: "parquet"}
#: First characters of cells that Excel, LibreOffice or Google Sheets computes, including full-width forms (OWASP, "CSV
#: injection"). Ids come from callers, and perhaps from applicants.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ROWS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 1 << 18


def accepted_form(accept: str | None) -> str:
    """The first best format that the header accepts; JSON if it accepts all. Raises NotAcceptable.

    >>> accepted_form(None), accepted_form("text/csv;q=0.5, application/json;q=0.4"), accepted_form("text/*")
    ('application/json', 'text/csv', 'text/csv')
    """
    best, best_quality = None, 0.0
    for part in (accept or "*/*").split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        quality = _quality(parameters)
        forms = [form for form in _ENDINGS if name in ("*/*", form, f"{form.partition('/')[0]}/*")]
        if forms and quality > best_quality:
            best, best_quality = forms[0], quality
    if best is None:
        raise NotAcceptable(f"Accept one of {JSON}, {CSV} and {PARQUET}: found {(accept or '')[:100]!r}")
    return best


async def streamed(path: Path, form: str, batch_id: str) -> AsyncIterator[bytes]:
    """The results in parts, each rendered in a thread."""
    pieces = _FORMS[form](path, batch_id)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _parquet(path: Path, _: str) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_BYTES_AT_ONCE):
            yield piece


def _json(path: Path, batch_id: str) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    before = b'{"batch_id":' + encoder.encode(batch_id) + b',"results":['
    for rows in _rows(path):
        yield before + b",".join(encoder.encode(_object(row)) for row in rows)
        before = b","
    yield (b"]}" if before == b"," else before + b"]}")


def _csv(path: Path, _: str) -> Iterator[bytes]:
    text = io.StringIO()
    lines = csv.writer(text)
    is_first = True
    for rows in _rows(path):
        if is_first:
            lines.writerow(rows[0])
            is_first = False
        lines.writerows([_cell(value) for value in row.values()] for row in rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _rows(path: Path) -> Iterator[list[dict[str, Any]]]:
    # half a second of import, only for text formats
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            rows: list[dict[str, Any]] = batch.to_pylist()
            if rows:
                yield rows


def _object(row: dict[str, Any]) -> Mapping[str, Any]:
    """A row as JSON: JSON texts become values, times get their Z."""
    for name in ("problem", "reasons"):
        if row[name] is not None:
            row[name] = msgspec.Raw(row[name].encode())
    row["scored_at"] = f"{row['scored_at'].isoformat()}Z"
    del row["batch_id"]
    return row


def file_name(batch_id: str, form: str) -> str:
    """The suggested file name of the results."""
    return f"batch-{batch_id}.{_ENDINGS[form]}"


def _cell(value: Any) -> Any:
    """A value for CSV, with an apostrophe before a text that a spreadsheet would compute.

    A text that is a formula after apostrophes gets one more, so removing one always restores the text.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.lstrip("'").startswith(_FORMULA) else value
    return f"{value.isoformat()}Z" if hasattr(value, "isoformat") else value


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


_FORMS: dict[str, Callable[[Path, str], Iterator[bytes]]] = {JSON: _json, CSV: _csv, PARQUET: _parquet}
