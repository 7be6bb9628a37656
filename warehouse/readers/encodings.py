"""The encoding of a text file: as declared or UTF-8; which encodings are likely where it is neither."""

import codecs
import io
import re
from typing import BinaryIO

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
#: Tried for a file that is not UTF-8; each reading that differs is shown.
_LIKELY = ("cp1252", "cp1250", "cp1251", "shift_jis", "gb18030")
_SHOWN = 3
_CHUNK = 1 << 20


class EncodingProblem(Exception):
    """Why a text cannot be read in an encoding."""


def mark_of(start: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark names, and the mark's length."""
    return next(((name, len(mark)) for mark, name in _MARKS.items() if start.startswith(mark)), None)


def decoder_for(declared: str, sample: bytes) -> tuple[str, int]:
    """The encoding to read with, and the bytes to skip; raises EncodingProblem if ``sample`` contradicts it.

    >>> decoder_for("utf-16", "id".encode("utf-16-be")), decoder_for("latin-1", "café".encode("latin-1"))
    (('utf-16-be', 0), ('latin-1', 0))
    """
    name, mark = codecs.lookup(declared).name, mark_of(sample)
    if name.startswith("utf-16"):
        if mark is not None and mark[0].startswith("utf-16"):
            return mark
        # a Latin letter has a zero byte, before or after it
        evens, odds = sample[:4096:2].count(0), sample[1:4096:2].count(0)
        found = "utf-16-le" if odds > evens else "utf-16-be"
        if mark is not None or max(evens, odds) == 0 or name not in ("utf-16", found):
            raise EncodingProblem(f"it is declared as {declared}, and is not")
        return found, 0
    if mark is not None:
        if mark[0] != "utf-8":
            raise EncodingProblem(f"it is declared as {declared}, and begins with the mark of UTF-16")
        return mark
    # in encodings of one byte a letter, every text has a meaning: what is UTF-8 would be read as other letters
    if name.startswith(("cp125", "iso8859")) and _is_utf_8_beyond_ascii(sample):
        raise EncodingProblem(f"it is declared as {declared}, and is UTF-8")
    return declared, 0


def likely(sample: bytes) -> str:
    """What a text that is not UTF-8 would say in the likely encodings.

    >>> likely("Zürich".encode("cp1252"))
    "'Zürich' as cp1252, 'Zьrich' as cp1251, 'Z黵ich' as gb18030"
    """
    found = re.search(rb"[\w]*[\x80-\xff]+[\w\x80-\xff]*", sample)
    word = found[0][:40] if found else b""
    seen: dict[str, str] = {}
    for encoding in _LIKELY:
        try:
            text = word.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable() and text not in seen.values():
            seen[encoding] = text
    return ", ".join(f"{text!r} as {encoding}" for encoding, text in list(seen.items())[:_SHOWN])


def _is_utf_8_beyond_ascii(sample: bytes) -> bool:
    try:
        # a character that the sample cuts in two is left out
        return not codecs.getincrementaldecoder("utf-8")().decode(sample).isascii()
    except UnicodeDecodeError:
        return False


class Transcoded(io.RawIOBase):
    """A stream of UTF-8 made of one in another encoding; raises EncodingProblem with the line of a wrong byte."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._waiting, self._n_lines, self._has_ended = b"", 0, False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's WriteableBuffer
        """Fill a buffer with the next bytes; 0 at the end."""
        while not self._waiting and not self._has_ended:
            read = self._stream.read(_CHUNK)
            self._has_ended = not read
            self._waiting = self._decoded(read)
            self._n_lines += self._waiting.count(b"\n")
        n_bytes = min(len(buffer), len(self._waiting))
        buffer[:n_bytes], self._waiting = self._waiting[:n_bytes], self._waiting[n_bytes:]
        return n_bytes

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()
        super().close()

    def _decoded(self, read: bytes) -> bytes:
        try:
            return self._decoder.decode(read, final=self._has_ended).encode()
        except UnicodeError as error:  # also a lone surrogate, which UTF-8 has not
            where = self._n_lines + 1
            if isinstance(error, UnicodeDecodeError):
                where += error.object[: error.start].count(b"\n")
            raise EncodingProblem(f"its line {where:,} is not {self._encoding}, as which it is declared") from None
