"""Put back data files of the lake that are missing or damaged, from a backup: DuckLake never changes a file."""

import hashlib
from contextlib import closing
from pathlib import Path

from warehouse.backup.manifest import Manifest, StoredFile
from warehouse.backup.restoring import place_of, write_file
from warehouse.backup.store import PART_BYTES, Store
from warehouse.lake.connection import connect
from warehouse.lake.data_files import lost_files
from warehouse.settings import Settings


def repair_data_files(settings: Settings, store: Store, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Compare every data file with the backup and put back what differs; returns repaired and still lost files.

    A file that maintenance has deleted since stays deleted. Files younger than the backup are only checked for their
    size. Takes no lease: each file is replaced whole, by the content that it had.
    """
    with closing(connect(settings)) as con:
        lost = {lost.path for lost in lost_files(con, settings)}
    data, repaired = Path(settings.lake_data), []
    for file in manifest.files:
        place = place_of(settings, file)
        if not place.is_relative_to(data) or not (place.exists() or str(place) in lost):
            continue
        if not _is_whole(place, file):
            write_file(store, file, place)
            repaired.append(file.path)
    with closing(connect(settings)) as con:
        left = [str(each) for each in lost_files(con, settings)]
    return repaired, left


def _is_whole(place: Path, file: StoredFile) -> bool:
    if not place.exists() or place.stat().st_size != file.n_bytes:
        return False
    with place.open("rb") as found:
        return all(hashlib.sha256(found.read(PART_BYTES)).hexdigest() == part for part in file.parts)
