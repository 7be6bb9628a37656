"""Put back data files of the lake that are missing or damaged, from a backup: DuckLake never changes a file."""

from contextlib import closing

from warehouse.backup.manifest import Manifest
from warehouse.backup.restoring import place_of, write_file
from warehouse.backup.servers import objects
from warehouse.backup.store import Store
from warehouse.lake.connection import connect
from warehouse.lake.data_files import lost_files, needed_files
from warehouse.settings import Settings


def repair_data_files(settings: Settings, store: Store, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Compare every data file with the backup and put back what differs; returns repaired and still lost files.

    A file that maintenance has deleted since stays deleted. Files younger than the backup are only checked for their
    size. Takes no lease: each file is replaced whole, by the content that it had.
    """
    with closing(connect(settings)) as con:
        needed = needed_files(con)
    files, repaired = objects.lake_files(settings), []
    for file in manifest.files:
        name = file.path.removeprefix(objects.DATA)
        if name == file.path or name not in needed or objects.is_whole(file, files, name):
            continue
        if "://" in settings.lake_data:
            objects.write(store, file, files, name)
        else:
            write_file(store, file, place_of(settings, file))
        repaired.append(file.path)
    with closing(connect(settings)) as con:
        left = [str(each) for each in lost_files(con, settings)]
    return repaired, left
