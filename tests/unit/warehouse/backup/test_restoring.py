"""A restored home is the home of then, at its new place; nothing else is overwritten."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.backed_up_home import fill, rows
from warehouse.backup.checking import damaged_files, damaged_parts, damaged_tables
from warehouse.backup.creating import create_backup
from warehouse.backup.manifest import Manifest
from warehouse.backup.records import require_whole, restored_from, unfinished_restore
from warehouse.backup.repairing import repair_data_files
from warehouse.backup.restoring import complete, restore_files
from warehouse.backup.store import Store, open_store
from warehouse.errors import BackupError, NotFoundError
from warehouse.lake.connection import writer
from warehouse.settings import Settings

KEY = "k" * 32


@pytest.fixture
def elsewhere(home: Settings, tmp_path: Path) -> Settings:
    place = tmp_path / "new place"
    return replace(home, home=place, lake_data=f"{place / 'lake' / 'data'}/")


def backed_up(home: Settings, tmp_path: Path, key: str | None = None) -> tuple[Store, Manifest]:
    fill(home)
    store = open_store(str(tmp_path / "backups"), key, create=True)
    return store, create_backup(home, store).manifest


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_a_home_is_restored_at_another_place(
    home: Settings, elsewhere: Settings, tmp_path: Path, key: str | None
) -> None:
    store, manifest = backed_up(home, tmp_path, key)

    restore_files(elsewhere, store, manifest)

    assert unfinished_restore(elsewhere)
    with pytest.raises(BackupError, match="nothing else may use this home"):
        require_whole(elsewhere)
    complete(elsewhere, store, manifest)
    require_whole(elsewhere)
    assert restored_from(elsewhere).backup_id == manifest.backup_id  # type: ignore[union-attr]
    assert rows(elsewhere) == [(1, 10.0), (2, 20.0), (3, 30.0)]
    assert (elsewhere.landing / "bank/loans/loans.csv").read_text() == "id,amount\n1,10\n2,20\n3,30\n"
    with closing(sqlite3.connect(elsewhere.keys)) as keys:
        assert keys.execute("select name from keys order by 1").fetchall() == [("one",), ("two",)]
    assert {path.stat().st_mode & 0o077 for path in (elsewhere.home, elsewhere.keys)} == {0}
    with writer("test", elsewhere) as con:  # and the new home is written to, not the old one
        con.execute("insert into raw.loans values (4, 40.0)")
    assert len(rows(home)) == 3


def test_places_below_the_old_home_are_adapted_in_mlflow(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    store, manifest = backed_up(home, tmp_path)

    restore_files(elsewhere, store, manifest)

    with closing(sqlite3.connect(elsewhere.mlflow_database)) as mlflow:
        found = dict(mlflow.execute("select * from experiments").fetchall())
    assert found == {
        "ours": (elsewhere.mlflow_artifacts / "default_risk_bank").as_uri(),
        "far": "s3://bank/mlflow",
    }


def test_a_home_in_use_is_refused_unchanged(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    store, manifest = backed_up(home, tmp_path)
    elsewhere.home.mkdir()
    (elsewhere.home / "notes.txt").write_text("mine")

    with pytest.raises(BackupError, match=r"into an empty home, and .* has notes\.txt: nothing was changed"):
        restore_files(elsewhere, store, manifest)

    assert [path.name for path in elsewhere.home.iterdir()] == ["notes.txt"]


def test_an_interrupted_restore_can_be_repeated(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    store, manifest = backed_up(home, tmp_path)
    lost = next(file for file in manifest.files if file.path == "serving/keys.sqlite").parts[0]
    place = store.plain_path(lost)
    assert place is not None
    kept = place.read_bytes()
    place.unlink()
    with pytest.raises(BackupError, match="cannot be read"):
        restore_files(elsewhere, store, manifest)

    place.write_bytes(kept)
    restore_files(elsewhere, store, manifest)

    assert rows(elsewhere) == [(1, 10.0), (2, 20.0), (3, 30.0)]


def test_an_interrupted_restore_is_not_mixed_with_another_backup(
    home: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    """Nor with what a killed restore left in a database's journal."""
    store, manifest = backed_up(home, tmp_path)
    restore_files(elsewhere, store, manifest)
    journal = elsewhere.keys.with_name("keys.sqlite-wal")
    journal.write_bytes(b"of the killed restore")

    with pytest.raises(BackupError, match=f"repeat it with `--at {manifest.backup_id}`"):
        restore_files(elsewhere, store, msgspec.structs.replace(manifest, backup_id="another"))
    assert journal.exists()
    restore_files(elsewhere, store, manifest)

    assert not journal.exists()


def test_a_manifest_cannot_write_outside_the_home(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    store, manifest = backed_up(home, tmp_path)
    outside = msgspec.structs.replace(manifest.files[0], path="../outside")

    with pytest.raises(BackupError, match="not below a home"):
        restore_files(elsewhere, store, msgspec.structs.replace(manifest, files=(outside,)))

    assert not (tmp_path / "outside").exists()
    (home.home / "outside").write_text("mine")
    outside = msgspec.structs.replace(manifest.files[0], path="lake/data/../../outside")
    assert repair_data_files(home, store, msgspec.structs.replace(manifest, files=(outside,))) == ([], [])
    assert (home.home / "outside").read_text() == "mine"


def test_each_damage_is_found(home: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    """A flipped bit of a data file, by its checksum; rows that are not there, by the count."""
    store, manifest = backed_up(home, tmp_path)
    data = next(file for file in manifest.files if file.path.startswith("lake/data/raw/loans/"))
    assert damaged_parts(store, manifest) == {}
    restore_files(elsewhere, store, manifest, link=True)
    assert damaged_tables(elsewhere, manifest) == []
    more = msgspec.structs.replace(manifest, tables={**manifest.tables, "raw.loans": 4})
    assert [str(each) for each in damaged_tables(elsewhere, more)] == ["raw.loans: it must have 4 rows: found 3"]

    place = store.plain_path(data.parts[0])
    assert place is not None
    changed = bytearray(place.read_bytes())
    changed[20] ^= 1
    place.write_bytes(changed)

    assert [each.path for each in damaged_files(manifest, damaged_parts(store, manifest))] == [data.path]


def test_data_files_are_repaired_from_a_backup(home: Settings, tmp_path: Path) -> None:
    """One with other bytes, backed up since; one that is gone; one that maintenance deleted; one that is younger."""
    store, manifest = backed_up(home, tmp_path)
    data = sorted(path for path in home.home.glob("lake/data/raw/*/*.parquet") if path.parent.name == "loans")
    data[0].write_bytes(data[0].read_bytes()[:-8] + b"\0" * 8)
    manifest = create_backup(home, store).manifest  # it does not take the damaged file for a new one
    unknown = msgspec.structs.replace(manifest.files[0], path="lake/data/raw/loans/deleted.parquet")

    found = repair_data_files(home, store, msgspec.structs.replace(manifest, files=(*manifest.files, unknown)))

    assert found == ([str(data[0].relative_to(home.home))], [])
    assert rows(home) == [(1, 10.0), (2, 20.0), (3, 30.0)]
    data[0].unlink()
    with writer("test", home) as con:
        con.execute("create table raw.later as select 1 as id")
    next(home.home.glob("lake/data/raw/later/*.parquet")).unlink()
    repaired, left = repair_data_files(home, store, manifest)
    assert len(repaired) == 1
    assert [line.partition(":")[0] for line in left] == ["raw.later"]


def test_an_encrypted_backup_shows_nothing_and_opens_with_its_key_alone(home: Settings, tmp_path: Path) -> None:
    _, manifest = backed_up(home, tmp_path, KEY)
    place = tmp_path / "backups"

    kept = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert [text for text in (b"amount", b"SQLite format", b"raw.loans", b"landing") if text in kept] == []
    assert manifest.files[0].parts[0] not in {path.name for path in place.rglob("*")}
    with pytest.raises(BackupError, match="set LOANLAKE_BACKUP_KEY"):
        open_store(str(place), None)
    with pytest.raises(BackupError, match="is not the key"):
        open_store(str(place), "x" * 32)
    part = next((place / "parts").rglob("??*/*"))
    part.write_bytes(part.read_bytes()[:-1] + b"\0")
    assert len(damaged_parts(open_store(str(place), KEY), manifest)) >= 1


def test_a_target_is_not_mixed_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("")

    with pytest.raises(BackupError, match="name an empty folder"):
        open_store(str(tmp_path / "photos"), None, create=True)
    with pytest.raises(NotFoundError, match="there is no backup in"):
        open_store(str(tmp_path / "nowhere"), None)
    for place in (tmp_path / "photos" / "one.jpg", tmp_path / "photos" / "one.jpg" / "below"):
        with pytest.raises(BackupError, match="cannot be read as one"):
            open_store(str(place), None, create=True)


def test_a_backup_that_another_processs_key_would_hide_is_not_completed(home: Settings, tmp_path: Path) -> None:
    """Both found no target and began it."""
    fill(home)
    store = open_store(str(tmp_path / "backups"), KEY, create=True)
    (tmp_path / "backups" / "backup.json").unlink()
    other = open_store(str(tmp_path / "backups"), KEY, create=True)

    with pytest.raises(BackupError, match="at the same moment: back up again"):
        create_backup(home, store)

    assert other.backup_ids() == []
    (tmp_path / "backups" / "backup.json").write_text("{")
    with pytest.raises(BackupError, match="is damaged"):
        open_store(str(tmp_path / "backups"), KEY)
