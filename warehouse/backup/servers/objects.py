"""The files of a lake, wherever they are, and what MLflow and Dagster keep in a team's object store."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs

from warehouse.backup.manifest import StoredFile
from warehouse.backup.store import PART_BYTES, Store
from warehouse.errors import BackupError
from warehouse.settings import Settings
from warehouse.team import object_store

#: Paths of a manifest: the lake's data files, as in an embedded home, and objects beside the lake of a team.
DATA = "lake/data/"
OBJECTS = "servers/objects/"


def lake_files(settings: Settings) -> pafs.FileSystem:
    """The folder or prefix of the lake's data files, as a root."""
    return _files_of(settings.lake_data)


def beside_lake(settings: Settings) -> dict[str, pafs.FileSystem]:
    """Prefixes of a team's object store beside the lake → as a root; empty where the lake is in a folder."""
    return {name: _files_of(place) for name, place in settings.beside_lake.items()}


def _files_of(place: str) -> pafs.FileSystem:
    if place.startswith(object_store.SCHEME):
        return pafs.SubTreeFileSystem(place.removeprefix(object_store.SCHEME).rstrip("/"), object_store.filesystem())
    return pafs.SubTreeFileSystem(str(Path(place)), pafs.LocalFileSystem())


def all_names(files: pafs.FileSystem) -> Iterator[pafs.FileInfo]:
    """Every file below the root, in the order of their names."""
    found = files.get_file_info(pafs.FileSelector("", recursive=True, allow_not_found=True))
    yield from sorted((each for each in found if each.type == pafs.FileType.File), key=lambda each: each.path)


def keep(store: Store, files: pafs.FileSystem, name: str, path: str) -> StoredFile | None:
    """Keep one under ``path``; None if it is gone."""
    (info,) = files.get_file_info([name])
    if info.type != pafs.FileType.File:
        return None
    try:
        with files.open_input_stream(name) as stream:
            parts, n_bytes = store.keep_stream(stream)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackupError(f"{path} cannot be backed up: {error}") from error
    return StoredFile(path, n_bytes, info.mtime_ns or 0, parts, stamp_of(info))


def stamp_of(info: pafs.FileInfo) -> tuple[int, ...]:
    """What differs when an object was replaced: objects have no inode."""
    return info.size, info.mtime_ns or 0


def write(store: Store, file: StoredFile, files: pafs.FileSystem, name: str) -> None:
    """Write a file of a backup to an object store, where it appears when it is whole."""
    try:
        with files.open_output_stream(name) as stream:
            n_bytes = sum(stream.write(store.read_part(part)) for part in file.parts)
    except OSError as error:
        raise BackupError(f"{file.path} cannot be restored: {error}") from error
    if n_bytes != file.n_bytes:
        raise BackupError(f"{file.path} must have {file.n_bytes:,} bytes: its parts have {n_bytes:,}")


def is_whole(file: StoredFile, files: pafs.FileSystem, name: str) -> bool:
    """Whether the file is there, and equal to the backup's in every byte."""
    (info,) = files.get_file_info([name])
    if info.type != pafs.FileType.File or info.size != file.n_bytes:
        return False
    with files.open_input_stream(name) as stream:
        return all(hashlib.sha256(stream.read(PART_BYTES)).hexdigest() == part for part in file.parts)
