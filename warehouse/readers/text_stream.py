"""The bytes of a plain or gzipped text file in UTF-8, with clear errors for other content."""

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar, cast

from warehouse.errors import SourceFileError
from warehouse.readers.encodings import EncodingProblem, Transcoded, decoder_for, likely
from warehouse.readers.limits import Limits, require_unpacked

T = TypeVar("T")
GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = codecs.BOM_UTF8
_UTF_16 = "UTF-16 text: declare `encoding: utf-16` in the lender's file, or save it as UTF-8"
_NOT_TEXT = {
    b"BZh": "compressed by bzip2: give it plain or gzipped",
    b"\xfd7zXZ": "compressed by xz: give it plain or gzipped",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give it plain or gzipped",
    GZIP: "gzipped twice: unpack it once",
    b"\xff\xfe\0\0": "UTF-32 text: save it as UTF-8 (iconv -f utf-32 -t utf-8)",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "an old Excel workbook (.xls), or one with a password: save it as .xlsx without a password, or as CSV UTF-8"
    ),
    b"PARE": "an encrypted Parquet file: write it without encryption",
    b"%PDF": "a PDF document: export the table as CSV or Parquet",
}
_OBJECT = rb'\{\s*["}]'
_NOT_TABLES = {
    _OBJECT + rb"|\[\s*[{\[]": "JSON: write one object a line (JSON lines), or export the table as CSV or Parquet",
    rb"<[?!A-Za-z]": "HTML or XML: export the table as CSV or Parquet",
}
_SAMPLE_BYTES = 1 << 20
_HEAD_BYTES = 4 << 20


class TextStream:
    """A file read once from front to back as UTF-8, unpacked if it is gzipped (by content, not name).

    ``encoding``: as declared; None is UTF-8. Line ends of old Macs (a single carriage return) become line feeds. Raises
    SourceFileError for anything that cannot be text, and for a file that unpacks to more than ``limits`` allow.
    ``is_json``: whether JSON is what the caller reads.
    """

    def __init__(
        self, path: Path, limits: Limits | None = None, *, encoding: str | None = None, is_json: bool = False
    ) -> None:
        self.path = path
        #: The encoding that the file is read with, once it is entered.
        self.encoding = "utf-8"
        self._declared, self._is_json = encoding, is_json
        self._limits = limits
        self._n_bytes = 0
        self._is_gzip = is_gzip(path)
        if self._is_gzip:
            unpacked = gzip.GzipFile(path)
            self._stream: BinaryIO = io.BufferedReader(cast(io.RawIOBase, unpacked), buffer_size=1 << 20)
        else:
            self._stream = path.open("rb")

    def __enter__(self) -> Self:
        try:
            self._read(self._begin)
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
        return self._counted(self._read(lambda: self._stream.read(n_bytes)))

    def read_line(self) -> bytes:
        """The next line with its line break; empty at the end of the file."""
        line = self._counted(self._read(lambda: self._stream.readline(_HEAD_BYTES)))
        if len(line) == _HEAD_BYTES:
            raise self.unusable(f"a line near its beginning is longer than {_HEAD_BYTES >> 20} MB")
        return line

    def first_lines(self, most: int) -> list[str]:
        """The first lines without their line breaks, as far as 4 MB reach: a later line may be long."""
        lines: list[str] = []
        left = _HEAD_BYTES
        while len(lines) < most and (line := self._read(partial(self._stream.readline, left))):
            left -= len(line)
            if left == 0:
                break
            self.require_text(line, len(lines) + 1)
            lines.append(line.decode().rstrip("\r\n"))
        if not lines and left == 0:
            raise self.unusable(f"a line near its beginning is longer than {_HEAD_BYTES >> 20} MB")
        return lines

    def require_text(self, block: bytes, first_line: int) -> None:
        """Refuse the file if ``block``, which starts at line ``first_line``, is not UTF-8."""
        try:
            block.decode()
        except UnicodeDecodeError as error:
            line = first_line + block.count(b"\n", 0, error.start)
            found = f"byte 0x{block[error.start]:02x} on line {line:,} is not UTF-8"
            if b"\0" in block[:4096]:
                raise self.unusable(f"it is a binary file ({found})") from None
            meant = likely(block[max(0, error.start - 40) : error.start + 80])
            raise self.unusable(
                f"{found}"
                + (f", and says {meant}" if meant else "")
                + ": declare its `encoding` in the lender's file, or save it as UTF-8"
            ) from None

    def unusable(self, found: str) -> SourceFileError:
        """The error that refuses the file because of ``found``."""
        return SourceFileError(
            f"{self.path.name} must be a table with a header (CSV or JSON lines, plain or gzipped, a workbook or "
            f"Parquet; docs/files.md): {found}; nothing of it was loaded"
        )

    def _begin(self) -> None:
        start = self._stream.read(_SAMPLE_BYTES)
        if self._declared is None or codecs.lookup(self._declared).name == "utf-8":
            self._require_kind(start)
            self._stream.seek(len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0)
        else:
            self.encoding, skipped = decoder_for(self._declared, start)
            self._stream.seek(skipped)
            if self.encoding != "utf-8":
                start = codecs.getincrementaldecoder(self.encoding)("replace").decode(start[skipped:]).encode()
                self._stream = io.BufferedReader(Transcoded(self._stream, self.encoding), buffer_size=1 << 20)
            self._require_kind(start)
        if b"\r" in start and b"\n" not in start:
            self._stream = io.BufferedReader(_OldMacLines(self._stream), buffer_size=1 << 20)

    def _require_kind(self, start: bytes) -> None:
        found = None if self._is_json and is_json_object(start) else other_format(start, self.path)
        if found:
            raise self.unusable(f"it is {found}")

    def _read(self, reading: Callable[[], T]) -> T:
        try:
            return reading()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.unusable(f"its gzip stream is damaged or cut short ({error}): fetch it again") from None
        except EncodingProblem as problem:
            raise self.unusable(f"{problem}: correct `encoding` in the lender's file") from None

    def _counted(self, read: bytes) -> bytes:
        self._n_bytes += len(read)
        if self._limits is None or not self._is_gzip:
            return read
        require_unpacked(self.path, self._n_bytes, self._limits)
        return read


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


def is_gzip(path: Path) -> bool:
    """Whether the file begins as gzip does, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


@contextmanager
def written_like(path: Path, to: Path, encoding: str) -> Iterator[Callable[[bytes], object]]:
    """A writer of UTF-8 text to ``to``, in ``encoding`` and gzipped if the file at ``path`` is."""
    encoder = codecs.getincrementalencoder(encoding)()
    with to.open("wb") as output:
        file = gzip.GzipFile(fileobj=output, mode="wb", filename="", mtime=0) if is_gzip(path) else output
        if encoding.startswith("utf-16"):
            file.write(encoder.encode("\ufeff"))
        yield lambda text: file.write(text if encoding == "utf-8" else encoder.encode(text.decode()))
        if file is not output:
            file.close()


def is_json_object(start: bytes) -> bool:
    """Whether content begins with an object of JSON."""
    return re.match(_OBJECT, start.removeprefix(_BYTE_ORDER_MARK).lstrip()) is not None


def other_format(start: bytes, whole: Path | BinaryIO) -> str | None:
    """The format of content that is not CSV and, after a colon, what to do; None if it may be CSV."""
    if start.startswith(b"PK\x03\x04"):
        return _zip(whole)
    for beginning, found in _NOT_TEXT.items():
        if start.startswith(beginning):
            return found
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
    for beginning, found in _NOT_TABLES.items():
        if re.match(beginning, text):
            return found
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
    if "xl/workbook.bin" in names:
        return "a binary Excel workbook (.xlsb): save it as .xlsx, or the sheet as CSV UTF-8"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook (.xlsx): save the sheet as CSV UTF-8, or as Parquet"
    if "mimetype" in names and "content.xml" in names:
        return "an OpenDocument spreadsheet: save it as .xlsx, or the sheet as CSV (UTF-8, commas)"
    return "a zip archive: unpack it first"
