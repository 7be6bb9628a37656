"""Limits for one file: a small file can hold more rows than a disk."""

from pathlib import Path
from typing import Protocol

from warehouse.errors import SourceFileError

#: gzip makes tables of loans 5 to 20 times smaller; a far higher factor indicates a decompression bomb.
_MOST_INFLATION, _INFLATION_FROM = 200, 16 << 20


class Limits(Protocol):
    """Limits of a file; :class:`warehouse.settings.Settings` has them."""

    @property
    def file_bytes(self) -> int:
        """Most bytes of an unpacked file."""

    @property
    def file_rows(self) -> int:
        """Most rows of a file."""


def require_unpacked(path: Path, n_bytes: int, limits: Limits) -> None:
    """Refuse a packed file with more bytes than ``limits`` allow, or with an implausible compression factor."""
    packed = path.stat().st_size
    most = min(limits.file_bytes, max(_INFLATION_FROM, _MOST_INFLATION * packed))
    if n_bytes > most:
        raise SourceFileError(
            f"{path.name} must unpack to at most {most:,} bytes: found more in its {packed:,} bytes; nothing of it was "
            f"loaded. A packed file may hold LOANLAKE_FILE_GIGABYTES, and {_MOST_INFLATION} times its own size: load "
            "it in parts, raise the setting, or unpack it first if it is what its sender meant"
        )


def require_rows(path: Path, n_rows: int, limits: Limits | None) -> None:
    """Refuse a file with more rows than ``limits`` allow."""
    if limits is not None and n_rows > limits.file_rows:
        raise SourceFileError(
            f"{path.name} must have at most {limits.file_rows:,} rows: found {n_rows:,} or more; nothing of it was "
            "loaded. Load it in parts, or raise LOANLAKE_FILE_ROWS"
        )


def require_bytes(path: Path, n_bytes: int, limits: Limits) -> None:
    """Refuse a columnar file whose footer states more bytes than ``limits`` allow."""
    if n_bytes > limits.file_bytes:
        raise SourceFileError(
            f"{path.name} must hold at most {limits.file_bytes:,} bytes: found {n_bytes:,}; nothing of it was loaded. "
            "Load it in parts, or raise LOANLAKE_FILE_GIGABYTES"
        )
