"""Open a file by its content, whatever its name."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from warehouse.lenders.files import FileSettings
from warehouse.readers.csv_file import CsvFile
from warehouse.readers.json_lines import MESSAGES_BEGIN, JsonLines, Messages
from warehouse.readers.limits import Limits
from warehouse.readers.parquet_file import ParquetFile, is_parquet
from warehouse.readers.table_file import TableFile
from warehouse.readers.text_stream import is_gzip, is_json_object
from warehouse.readers.workbook import Workbook
from warehouse.readers.workbook_parts import is_workbook

_SAMPLE_BYTES = 4096


def open_table(
    path: Path, declared: FileSettings | None = None, *, notes: Sequence[str] = (), limits: Limits | None = None
) -> TableFile:
    """The reader of a file; raises SourceFileError for an unusable file.

    ``declared``: what the lender's file says of it. ``notes``: prefixes of lines of a CSV file about itself. Without
    ``limits``, for landed files, any size is accepted.
    """
    if is_parquet(path):
        return ParquetFile(path, limits)
    if is_workbook(path):
        return Workbook(path, declared, limits=limits)
    if _begins(path, lambda start: start.startswith(MESSAGES_BEGIN)):
        return Messages(path, limits=limits)
    if _begins(path, is_json_object):
        return JsonLines(path, declared, limits=limits)
    return CsvFile(path, declared, notes=notes, limits=limits)


def _begins(path: Path, as_it_should: Callable[[bytes], bool]) -> bool:
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return as_it_should(file.read(_SAMPLE_BYTES))
    except (OSError, EOFError, zlib.error):
        return False  # a damaged file, of which its reader says so
