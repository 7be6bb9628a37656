"""The bytes of a plain or gzipped text file, with clear errors for other content."""

import gzip
import io
import re
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from warehouse.errors import SourceFileError
from warehouse.sources.limits import Limits, require_unpacked

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = "UTF-16 text: save it as UTF-8 (iconv -f utf-16 -t utf-8)"
_NOT_TEXT = {
    b"BZh": "compressed by bzip2: give it plain or gzipped",
    b"\xfd7zXZ": "compressed by xz: give it plain or gzipped",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give it plain or gzipped",
    b"\x1f\x8b": "gzipped twice: unpack it once",
    b"\xff\xfe\0\0": "UTF-32 text: save it as UTF-8 (iconv -f utf-32 -t utf-8)",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Excel workbook (.xls): save the sheet as CSV UTF-8, or as Parquet",
    b"PARE": "an encrypted Parquet file: write it without encryption",
    b"%PDF": "a PDF document: export the table as CSV or Parquet",
}
_MARKUP, _JSON = re.compile(rb"<[?!A-Za-z]"), re.compile(rb'\{\s*["}]|\[\s*[{\[]')
_SAMPLE_BYTES = 1 << 20
_HEADER_BYTES = 4 << 20


class TextStream:
    """A file read once from front to back, unpacked if it is gzipped (by content, not name).

    Line ends of old Macs (a single carriage return) become line feeds. Raises SourceFileError for anything that cannot
    be text, and for a file that unpacks to more than ``limits`` allow.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits
        self._n_bytes = 0
        with path.open("rb") as file:
            self._is_gzip = file.read(2) == b"\x1f\x8b"
        if self._is_gzip:
            unpacked = gzip.GzipFile(path)
            self._stream: BinaryIO = io.BufferedReader(cast(io.RawIOBase, unpacked), buffer_size=1 << 20)
        else:
            self._stream = path.open("rb")

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    def read(self, n_bytes: int) -> bytes:
        """The next ``n_bytes``, fewer only at the end of the file."""
        try:
            return self._counted(self._stream.read(n_bytes))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from None

    def read_line(self) -> bytes:
        """The next line with its line break; empty at the end of the file."""
        try:
            line = self._counted(self._stream.readline(_HEADER_BYTES))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from None
        if len(line) == _HEADER_BYTES:
            raise self.unusable(f"a line near its beginning is longer than {_HEADER_BYTES >> 20} MB")
        return line

    def require_text(self, block: bytes, first_line: int) -> None:
        """Refuse the file if ``block``, which starts at line ``first_line``, is not UTF-8."""
        try:
            block.decode()
        except UnicodeDecodeError as error:
            line = first_line + block.count(b"\n", 0, error.start)
            found = f"byte 0x{block[error.start]:02x} on line {line:,} is not UTF-8"
            if b"\0" in block[:4096]:
                raise self.unusable(f"it is a binary file ({found})") from None
            raise self.unusable(f"{found}: convert it first (iconv -f latin1 -t utf-8)") from None

    def unusable(self, found: str) -> SourceFileError:
        """The error that refuses the file because of ``found``."""
        return SourceFileError(
            f"{self.path.name} must be a CSV file (UTF-8, commas, a header; plain or gzipped) or Parquet: {found}; "
            "nothing of it was loaded"
        )

    def _begin(self) -> None:
        try:
            start = self._stream.read(_SAMPLE_BYTES)
            self._stream.seek(len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from None
        found = other_format(start, self.path)
        if found:
            raise self.unusable(f"it is {found}")
        if b"\r" in start and b"\n" not in start:
            self._stream = io.BufferedReader(_OldMacLines(self._stream), buffer_size=1 << 20)

    def _counted(self, read: bytes) -> bytes:
        self._n_bytes += len(read)
        if self._limits is None or not self._is_gzip:
            return read
        require_unpacked(self.path, self._n_bytes, self._limits)
        return read

    def _damaged(self, error: Exception) -> SourceFileError:
        return self.unusable(f"its gzip stream is damaged or cut short ({error}): fetch it again")


class _OldMacLines(io.RawIOBase):
    """A stream with carriage returns replaced by line feeds; the length stays the same."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's WriteableBuffer
        read = self._stream.read(len(buffer))
        buffer[: len(read)] = read.replace(b"\r", b"\n")
        return len(read)

    def close(self) -> None:
        self._stream.close()
        super().close()


def other_format(start: bytes, whole: Path | BinaryIO) -> str | None:
    """The format of content that is not CSV and, after a colon, what to do; None if it may be CSV."""
    if start.startswith(b"PK\x03\x04"):
        return _zip(whole)
    for beginning, found in _NOT_TEXT.items():
        if start.startswith(beginning):
            return found
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if _MARKUP.match(text) or _JSON.match(text):
        return f"{'JSON' if _JSON.match(text) else 'HTML or XML'}: export the table as CSV or Parquet"
    if b"\0" not in start[:512]:
        return None
    if start[1:512:2].count(0) > len(start[:512]) / 4 or start[:512:2].count(0) > len(start[:512]) / 4:
        return _UTF_16
    return "a binary file (a NUL byte near its beginning)"


def _zip(whole: Path | BinaryIO) -> str:
    """Distinguish workbooks, which are zip archives too."""
    try:
        with zipfile.ZipFile(whole) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook (.xlsx): save the sheet as CSV UTF-8, or as Parquet"
    if "mimetype" in names and "content.xml" in names:
        return "an OpenDocument spreadsheet: save the sheet as CSV (UTF-8, commas), or as Parquet"
    return "a zip archive: unpack it first"
