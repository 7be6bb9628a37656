"""The bytes of a text file as received, plain or gzipped, and a clear refusal of what is not text."""

import gzip
import io
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from warehouse.errors import SourceFileError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_TEXT = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"BZh": "compressed by bzip2: give it plain or gzipped",
    b"\xfd7zXZ": "compressed by xz: give it plain or gzipped",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give it plain or gzipped",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8 (iconv -f utf-16 -t utf-8)",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8 (iconv -f utf-16 -t utf-8)",
}


class TextStream:
    """A file read once from front to back, unpacked where it is gzipped (by its content, not its name).

    Every way in which the file cannot be text raises SourceFileError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        if is_gzip:
            unpacked = gzip.GzipFile(path)
            self._stream: BinaryIO = io.BufferedReader(cast(io.RawIOBase, unpacked), buffer_size=1 << 20)
        else:
            self._stream = path.open("rb")

    def __enter__(self) -> Self:
        try:
            self._refuse_other_formats()
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
            return self._stream.read(n_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from None

    def read_line(self) -> bytes:
        """The next line with its line break; empty at the end of the file."""
        try:
            return self._stream.readline(1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from None

    def require_text(self, block: bytes, first_line: int) -> None:
        """Refuse the file where ``block``, whose first line is number ``first_line``, is not UTF-8."""
        try:
            block.decode()
        except UnicodeDecodeError as error:
            line = first_line + block.count(b"\n", 0, error.start)
            found = f"byte 0x{block[error.start]:02x} on line {line:,} is not UTF-8"
            if b"\0" in block[:4096]:
                raise self.unusable(f"it is a binary file ({found})") from None
            raise self.unusable(f"{found}: convert it first (iconv -f latin1 -t utf-8)") from None

    def unusable(self, found: str) -> SourceFileError:
        """The error that refuses the file for what was ``found``."""
        return SourceFileError(
            f"{self.path.name} must be a CSV file (UTF-8, commas, a header; plain or gzipped) or Parquet: {found}; "
            "nothing of it was loaded"
        )

    def _refuse_other_formats(self) -> None:
        try:
            start = self._stream.read(512)
            self._stream.seek(len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from None
        for beginning, found in _NOT_TEXT.items():
            if start.startswith(beginning):
                raise self.unusable(f"it is {found}")
        if b"\0" in start:
            raise self.unusable("it is a binary file (a NUL byte near its beginning)")

    def _damaged(self, error: Exception) -> SourceFileError:
        return self.unusable(f"its gzip stream is damaged or cut short ({error}): fetch it again")
