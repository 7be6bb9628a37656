"""A restored home can be used, and holds nobody who was erased after its backup."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from orchestration.people.erasure import erase_person
from orchestration.recovery.restoring import erase_again, restore
from orchestration.recovery.verifying import home_at, verify
from tests.backed_up_home import fill, log_decision, rows
from tests.bytes_of_home import files_that_name
from warehouse import decision_log
from warehouse.backup.creating import create_backup
from warehouse.backup.erased import erased_persons
from warehouse.backup.records import unfinished_restore
from warehouse.backup.store import open_store
from warehouse.decision_log.second_copy import SecondCopy
from warehouse.errors import BackupError
from warehouse.lake.connection import writer
from warehouse.settings import Settings

#: No lender: erasing reads no dbt manifest.
NOWHERE = {"source": ""}


def test_who_was_erased_after_the_backup_is_erased_again(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two persons in lake and log; the home gets a new place."""
    fill(home)
    monkeypatch.setenv("LOANLAKE_BACKUP_TARGET", str(tmp_path / "backups"))
    with writer("test", home) as con:
        con.execute("create table raw.people as from (values ('ann'), ('ben')) as people(borrower_id)")
    for name in ("ann", "ben"):
        log_decision(home, f"d-{name}", application_id=f"app-{name}", borrower_id=name, **NOWHERE)
    store = open_store(str(tmp_path / "backups"), None, create=True)
    create_backup(home, store)
    erase_person(home, "ann", reason="asked", by="tests")
    listed = erased_persons(store.target)
    own = home_at(home, tmp_path / "elsewhere")
    # made while the clock was a day ahead
    manifest = store.manifest()
    manifest = msgspec.structs.replace(manifest, started_at=manifest.started_at + timedelta(days=1))

    done = restore(own, store, manifest, by="tests", say=lambda _: None)

    assert (done.n_erased, unfinished_restore(own)) == (1, False)
    assert rows(own, "from raw.people") == [("ben",)]
    with closing(decision_log.create(own)) as log:
        assert log.execute("select id from decisions").fetchall() == [("d-ben",)]
    assert files_that_name(own, ["ann", "app-ann"]) == []
    assert len(listed) == 1
    assert erased_persons(store.target) == listed
    assert erase_again(own, store, by="tests") == 0


def test_decisions_after_the_backup_come_from_the_second_copy_once_its_disk_is_mounted(
    home: Settings, tmp_path: Path
) -> None:
    fill(home)
    store = open_store(str(tmp_path / "backups"), None, create=True)
    copy = SecondCopy(tmp_path / "copy", home.decision_copy_disk)
    copy.append([])
    log_decision(home, "d-1")
    create_backup(home, store)
    log_decision(home, "d-2")
    with closing(decision_log.create(home)) as log:
        later = decision_log.find_in_outbox(log, "d-2")
    copy.append([(None, later)])
    own = home_at(home, tmp_path / "elsewhere", decision_copy=tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / "unmounted")
    with pytest.raises(BackupError, match="Mount the disk"):
        restore(own, store, store.manifest(), by="tests", say=lambda _: None)
    (tmp_path / "unmounted").rename(tmp_path / "copy")

    done = restore(own, store, store.manifest(), by="tests", say=lambda _: None)

    assert done.n_copied == 1
    with closing(decision_log.create(own)) as log:
        assert log.execute("select id from decisions order by id").fetchall() == [("d-1",), ("d-2",)]


def test_a_copy_that_does_not_exist_is_told(home: Settings, tmp_path: Path) -> None:
    fill(home)
    store = open_store(str(tmp_path / "backups"), None, create=True)
    create_backup(home, store)
    said: list[str] = []

    restore(
        home_at(home, tmp_path / "elsewhere", decision_copy=tmp_path / "copy"),
        store,
        store.manifest(),
        by="tests",
        say=said.append,
    )

    assert [line for line in said if "LOANLAKE_DECISION_COPY) does not exist" in line] != []


def test_a_damaged_piece_is_moved_away_and_the_next_backup_has_it_again(home: Settings, tmp_path: Path) -> None:
    """Prevents later backups from using it for ever: its name says that the content is there."""
    fill(home)
    store = open_store(str(tmp_path / "backups"), None, create=True)
    manifest = create_backup(home, store).manifest
    file = next(file for file in manifest.files if file.path.startswith("landing/"))
    piece = store.plain_path(file.parts[0])
    assert piece is not None
    whole = piece.read_bytes()
    piece.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])

    found = verify(home, store, manifest, n_decisions=0)

    assert ([damage.path for damage in found.damages], found.n_set_aside) == ([file.path], 1)
    assert list(store.target.sizes("damaged")) == [f"damaged/{file.parts[0]}"]
    create_backup(home, open_store(str(tmp_path / "backups"), None))
    assert piece.read_bytes() == whole
    assert verify(home, store, manifest, n_decisions=0).damages == ()
