"""What was answered is in the second copy; a restore adds it to the log once, and nobody who was erased."""

import os
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.unit.warehouse.decision_log.test_outbox import AN_OUTCOME, decision
from warehouse import decision_log
from warehouse.decision_log import second_copy
from warehouse.decision_log.second_copy import SecondCopy, prune_copies, read_copies, require_disk, restore_copies
from warehouse.errors import OutboxError
from warehouse.settings import Settings


def nobody(_borrower_id: str, _moment: float) -> bool:
    return False


def copy_in(folder: Path) -> SecondCopy:
    return SecondCopy(folder, folder / "record-of-the-home")


def logged(home: Settings) -> list[str]:
    with closing(decision_log.create(home)) as log:
        return [each for (each,) in log.execute("select id from decisions order by id").fetchall()]


def test_a_restore_adds_only_what_the_log_lacks(home: Settings, tmp_path: Path) -> None:
    copy = copy_in(tmp_path / "copy")
    copy.append([(None, decision(1)), ("key-2", decision(2)), (None, AN_OUTCOME)])
    with closing(decision_log.create(home)) as log:
        decision_log.append(log, [decision(1)])

    assert restore_copies(home, tmp_path / "copy", is_erased=nobody) == 2
    assert restore_copies(home, tmp_path / "copy", is_erased=nobody) == 0

    assert logged(home) == ["d-1", "d-2"]
    with closing(decision_log.create(home)) as log:
        found = decision_log.find_by_key(log, "key-2")
    assert found == decision(2)


def test_an_unfinished_end_is_left_out_and_damage_is_named(tmp_path: Path) -> None:
    copy = copy_in(tmp_path)
    copy.append([(None, decision(1))])
    copy.append([(None, decision(2))])
    (path,) = tmp_path.glob("*.log")
    whole = path.read_bytes()

    path.write_bytes(whole[:-1])
    assert [each.entry.decision_id for each in read_copies(tmp_path)] == ["d-1"]
    path.write_bytes(whole[:40] + b"\0" + whole[41:])
    with pytest.raises(OutboxError, match="damaged at byte 0"):
        list(read_copies(tmp_path))


def test_who_was_erased_after_an_entry_does_not_come_back(home: Settings, tmp_path: Path) -> None:
    erased = msgspec.structs.replace(decision(1), borrower_id="b")
    copy = copy_in(tmp_path)
    copy.append([(None, erased), (None, AN_OUTCOME)])

    n_new = restore_copies(home, tmp_path, is_erased=lambda borrower_id, _: borrower_id == "b")

    assert (n_new, logged(home)) == (0, [])


def test_of_two_decisions_on_a_key_both_come_back_and_the_newer_has_it(home: Settings, tmp_path: Path) -> None:
    copy = copy_in(tmp_path)
    copy.append([("key", decision(1))])
    copy.append([("key", decision(2))])

    assert restore_copies(home, tmp_path, is_erased=nobody) == 2

    with closing(decision_log.create(home)) as log:
        assert decision_log.find_by_key(log, "key") == decision(2)


def test_a_key_whose_newest_decision_is_of_an_erased_person_stands_for_the_one_before(
    home: Settings, tmp_path: Path
) -> None:
    erased = msgspec.structs.replace(decision(2), borrower_id="b", application_id="of-b")
    copy_in(tmp_path).append([("key", decision(1)), ("key", erased)])

    assert restore_copies(home, tmp_path, is_erased=lambda borrower_id, _: borrower_id == "b") == 1

    with closing(decision_log.create(home)) as log:
        assert decision_log.find_by_key(log, "key") == decision(1)


def test_a_restore_holds_a_few_entries_at_a_time(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a day's decisions from having to fit into memory."""
    copy = copy_in(tmp_path)
    large = "x" * 100_000
    for n in range(0, 200, 20):
        copy.append([(None, msgspec.structs.replace(decision(each), inputs=large)) for each in range(n, n + 20)])
    monkeypatch.setattr(second_copy, "_AT_ONCE", 10)

    tracemalloc.start()
    assert restore_copies(home, tmp_path, is_erased=nobody) == 200
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 5_000_000


def test_a_disk_that_is_not_mounted_refuses_and_names_itself(tmp_path: Path) -> None:
    """The folder is then on the disk below, where losing the home's disk would lose it too."""
    folder, record = tmp_path / "mnt" / "copy", tmp_path / "home" / "record"
    SecondCopy(folder, record).append([(None, decision(1))])
    folder.parent.rename(tmp_path / "unmounted")

    with pytest.raises(OSError, match=r"found no such file\. Mount the disk"):
        SecondCopy(folder, record).append([(None, decision(2))])
    assert not folder.exists()
    SecondCopy(folder, tmp_path / "other-home" / "record").append([(None, decision(3))])
    with pytest.raises(OSError, match="that of another disk"):
        require_disk(folder, record)

    record.unlink()  # as the message says of a new disk
    SecondCopy(folder, record).append([(None, decision(4))])
    require_disk(folder, record)
    assert sorted(each.entry.decision_id for each in read_copies(folder)) == ["d-3", "d-4"]


def test_what_did_not_reach_the_outbox_is_taken_back_and_the_next_file_is_another(tmp_path: Path) -> None:
    copy = copy_in(tmp_path)
    copy.append([(None, decision(1))])
    copy.settle()
    copy.append([(None, decision(2))])
    copy.take_back()
    copy.take_back()

    copy.append([(None, decision(3))])

    assert sorted(each.entry.decision_id for each in read_copies(tmp_path)) == ["d-1", "d-3"]
    assert len(list(tmp_path.glob("*.log"))) == 2


def test_after_its_file_is_deleted_or_the_clock_set_back_another_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_in(tmp_path)
    copy.append([(None, decision(1))])
    next(tmp_path.glob("*.log")).unlink()
    copy.append([(None, decision(2))])
    monkeypatch.setattr("warehouse.decision_log.second_copy.time.time", lambda: 0.0)
    copy.append([(None, decision(3))])

    assert [each.entry.decision_id for each in read_copies(tmp_path)] == ["d-3", "d-2"]


def test_a_power_cut_before_the_content_of_a_grown_file_was_written_is_an_unfinished_end(tmp_path: Path) -> None:
    copy = copy_in(tmp_path)
    copy.append([(None, decision(1))])
    with next(tmp_path.glob("*.log")).open("ab") as file:
        file.write(bytes(100))

    assert [each.entry.decision_id for each in read_copies(tmp_path)] == ["d-1"]


def test_files_that_a_backup_holds_are_deleted(tmp_path: Path) -> None:
    """Not one that a process may still write to, though the backup is newer."""
    for name, age in (("old", 3 * 3600), ("young", 3600)):
        path = tmp_path / f"decisions-{name}.log"
        path.write_bytes(b"")
        os.utime(path, (datetime.now().timestamp() - age,) * 2)

    assert prune_copies(tmp_path, backed_up_at=datetime.now(UTC) - timedelta(hours=4)) == 0
    assert prune_copies(tmp_path, backed_up_at=datetime.now(UTC)) == 1

    assert [path.name for path in tmp_path.glob("*.log")] == ["decisions-young.log"]
