"""A backup is one state of the home, and costs only what changed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.backed_up_home import fill, log_decision, rows
from warehouse.backup import creating
from warehouse.backup.checking import damaged_parts
from warehouse.backup.creating import create_backup
from warehouse.backup.records import last_backup, restore_mark
from warehouse.backup.restoring import restore_files
from warehouse.backup.store import Store, open_store
from warehouse.decision_log import count_pending, ingest_into_lake
from warehouse.errors import BackupError, NotFoundError, SettingError
from warehouse.lake.catalog_copy import CopiedCatalog
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "backups"), None, create=True)


def restored(home: Settings, store: Store, place: Path) -> Settings:
    own = replace(home, home=place, lake_data=f"{place / 'lake' / 'data'}/")
    restore_files(own, store, store.manifest())
    return own


def test_a_second_backup_copies_only_what_changed(home: Settings, store: Store, tmp_path: Path) -> None:
    fill(home)
    first = create_backup(home, store)
    with writer("test", home) as con:
        con.execute("insert into raw.loans values (4, 40.0)")

    second = create_backup(home, store)

    changed = {file.path for file in second.manifest.files} - {file.path for file in first.manifest.files}
    assert len([path for path in changed if path.startswith("lake/data/")]) == 1
    assert second.n_bytes_written < first.n_bytes_written + 100_000
    assert store.backup_ids() == [first.manifest.backup_id, second.manifest.backup_id]
    assert rows(restored(home, store, tmp_path / "elsewhere")) == [(1, 10.0), (2, 20.0), (3, 30.0), (4, 40.0)]


def test_nothing_waits_for_a_writer_and_no_writer_for_it(home: Settings, store: Store) -> None:
    """A writer that holds the lease, with an open transaction, does not stop a backup; its rows are not in it."""
    fill(home)

    with writer("test", home) as con:
        con.execute("begin")
        con.execute("insert into raw.loans values (5, 50.0)")
        made = create_backup(home, store)
        con.execute("commit")

    assert made.manifest.tables["raw.loans"] == 3


def test_what_is_committed_during_a_backup_leaves_it_consistent(
    home: Settings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions that move to the lake between the copies of log and catalog are in both, and counted once."""
    fill(home)
    log_decision(home, "d-1")
    copy_catalog = creating.copy_catalog

    def copy_later(settings: Settings, to: Path) -> CopiedCatalog | None:
        log_decision(home, "d-2")
        ingest_into_lake(home)
        return copy_catalog(settings, to)

    monkeypatch.setattr(creating, "copy_catalog", copy_later)
    create_backup(home, store)

    own = restored(home, store, tmp_path / "elsewhere")
    assert count_pending(own) == 1
    ingest_into_lake(own)
    assert rows(own, "select decision_id from serving.predictions order by all") == [("d-1",), ("d-2",)]


def test_a_deployment_that_changes_meanwhile_starts_it_over(
    home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home)
    calls = change_during(monkeypatch, lambda n: n == 1 and put(home.deployment("bank"), "{}"))

    made = create_backup(home, store)

    assert (made.n_tries, len(calls)) == (2, 2)
    assert "deployment/bank/deployment.json" in {file.path for file in made.manifest.files}


def test_a_home_that_always_changes_is_refused_and_leaves_no_backup(
    home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home)
    change_during(monkeypatch, lambda n: put(home.erasures / "mark.json", str(n)))

    with pytest.raises(BackupError, match="during each of 5 tries"):
        create_backup(home, store)

    assert store.backup_ids() == []
    with pytest.raises(NotFoundError, match="there is none"):
        store.manifest()


def test_an_interrupted_backup_is_none_and_its_parts_are_used(
    home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Store, "put_manifest", stop)
        with pytest.raises(KeyboardInterrupt):
            create_backup(home, store)
    assert store.backup_ids() == []
    assert last_backup(home) is None

    made = create_backup(home, store)

    assert made.n_bytes_written < made.manifest.n_bytes / 2
    assert last_backup(home).backup_id == made.manifest.backup_id  # type: ignore[union-attr]


def test_pruning_keeps_what_the_newest_backups_need(home: Settings, store: Store) -> None:
    fill(home)
    create_backup(home, store)
    put(home.landing / "bank" / "loans" / "old.csv", "first\n")
    create_backup(home, store)
    (home.landing / "bank" / "loans" / "old.csv").unlink()
    n_before = len(store.target.sizes("parts"))

    made = create_backup(home, store, keep=1)

    assert len(made.pruned) == 2
    assert store.backup_ids() == [made.manifest.backup_id]
    assert len(store.target.sizes("parts")) < n_before
    assert damaged_parts(store, made.manifest) == {}


def test_the_backup_just_made_stays_though_an_earlier_one_is_from_the_future(home: Settings, store: Store) -> None:
    """The clock was ahead."""
    fill(home)
    ahead = create_backup(home, store).manifest
    (old,) = store.backup_ids()
    store.put_manifest(msgspec.structs.replace(ahead, backup_id="29991231T000000-000Z"))

    made = create_backup(home, store, keep=1)

    assert made.pruned == (old,)
    assert store.backup_ids() == [made.manifest.backup_id, "29991231T000000-000Z"]


def test_a_damaged_database_is_not_taken_for_a_backup(home: Settings, store: Store) -> None:
    fill(home)
    with home.keys.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)

    with pytest.raises(BackupError, match=r"keys\.sqlite"):
        create_backup(home, store)


def test_a_link_is_not_followed_and_is_named(home: Settings, store: Store, tmp_path: Path) -> None:
    """Prevents a landing folder that was moved to another disk from being missing in all backups unnoticed."""
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere / "loans.csv", "id")
    put(home.home / "landing" / "here.csv", "id")
    (home.home / "landing" / "bank").symlink_to(elsewhere)

    made = create_backup(home, store)

    assert made.links == (home.home / "landing" / "bank",)
    assert [file.path for file in made.manifest.files if file.path.startswith("landing")] == ["landing/here.csv"]


def test_files_of_a_lender_are_copied_as_they_are_whatever_their_names(home: Settings, store: Store) -> None:
    """Prevents a file in the inbox, named like a database, from failing every backup."""
    put(home.inbox / "bank" / "loans" / "export.db", "no database\n")
    put(home.landing / "bank" / "loans" / "sent.sqlite", "nor this\n")
    put(home.inbox / "bank" / "loans" / "export.db-wal", "nor a journal\n")

    made = create_backup(home, store)

    found = {file.path: file.n_bytes for file in made.manifest.files}
    assert found["inbox/bank/loans/export.db"] == len("no database\n")
    assert found["landing/bank/loans/sent.sqlite"] == len("nor this\n")
    assert "inbox/bank/loans/export.db-wal" in found


def test_a_piece_that_is_cut_short_is_copied_again(home: Settings, store: Store) -> None:
    landed = home.landing / "bank" / "loans.csv"
    put(landed, "id,amount\n1,10\n")
    file = next(file for file in create_backup(home, store).manifest.files if file.path == "landing/bank/loans.csv")
    piece = store.plain_path(file.parts[0])
    assert piece is not None
    piece.write_bytes(piece.read_bytes()[:4])

    create_backup(home, open_store(str(store.target), None))

    assert piece.read_bytes() == landed.read_bytes()


def test_two_homes_do_not_share_a_target(home: Settings, store: Store, tmp_path: Path) -> None:
    """Pruning would delete the other's backups, and a restore would take the newest of either."""
    put(home.landing / "one.csv", "1")
    create_backup(home, store)
    other = replace(home, home=tmp_path / "other", lake_data=f"{tmp_path / 'other' / 'lake' / 'data'}/")
    put(other.landing / "two.csv", "2")

    with pytest.raises(BackupError, match=f"is of another home, {home.home}"):
        create_backup(other, store)

    moved = restored(home, store, tmp_path / "moved")
    restore_mark(moved).unlink()
    assert create_backup(moved, store).manifest.home_id == store.manifest().home_id


def test_one_backup_at_a_time(home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(home)
    found: list[str] = []

    def during(n: int) -> None:
        with pytest.raises(BackupError, match="another backup is running") as refused:
            create_backup(home, store)
        found.append(str(refused.value))

    change_during(monkeypatch, during)
    create_backup(home, store)

    assert len(found) == 1


def test_what_is_not_in_the_home_is_refused(home: Settings, store: Store) -> None:
    with pytest.raises(SettingError, match="found LOANLAKE_LAKE_DATA without LOANLAKE_CATALOG"):
        create_backup(replace(home, lake_data="s3://bank/lake/"), store)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def change_during(monkeypatch: pytest.MonkeyPatch, change: Callable[[int], object]) -> list[int]:
    """Call ``change`` with the number of the try, in the middle of each."""
    calls: list[int] = []
    other_files = creating.other_files

    def changed(settings: Settings) -> Iterator[Path]:
        calls.append(len(calls) + 1)
        change(calls[-1])
        return other_files(settings)

    monkeypatch.setattr(creating, "other_files", changed)
    return calls
