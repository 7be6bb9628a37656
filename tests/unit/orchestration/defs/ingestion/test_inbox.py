"""Which files of the inbox are loaded, which wait, which are passed over; and that none is ever lost or replaced."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.defs.ingestion import inbox
from orchestration.defs.ingestion.inbox import Look, WaitingFile, claim, delete_loaded, give_back, look, set_aside, turn
from warehouse.errors import LakeBusyError, SourceFileError
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources.landing import checksum

TOMORROW = 86_400.0


def dropped(settings: Settings, name: str, content: str = "id\n1\n") -> Path:
    path = settings.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def later(settings: Settings, *, seconds: float = 3_600, earlier: Look | None = None) -> Look:
    """The inbox as it is seen after a while."""
    return look(settings, now=time.time() + seconds, earlier=earlier)


def claimed(settings: Settings, name: str, content: str = "id\n1\n") -> WaitingFile:
    dropped(settings, name, content)
    (file,) = later(settings).waiting
    found = claim(file)
    assert found is not None
    return found


def test_source_and_entity_come_from_the_directories(home: Settings) -> None:
    dropped(home, "lending_club/loans.csv")
    dropped(home, "simulated/outcomes/2024-01.csv")

    found = later(home).waiting

    assert [(file.source, file.entity, file.path.name) for file in found] == [
        ("lending_club", None, "loans.csv"),
        ("simulated", "outcomes", "2024-01.csv"),
    ]


def test_a_file_that_changed_a_moment_ago_waits(home: Settings) -> None:
    """Prevents half a file from being loaded while it is copied."""
    file = dropped(home, "lending_club/loans.csv")

    found = look(home)

    assert (found.waiting, [waiting.path for waiting in found.unsettled]) == ([], [file])


def test_a_file_that_a_process_has_open_waits_however_long_nothing_is_written(home: Settings) -> None:
    """A sender paused for six seconds: 4,000 of 5,000 rows were lost, and the file was deleted."""
    file = dropped(home, "lending_club/loans.csv")

    with file.open("a"):
        while_open = later(home)
    closed = later(home)

    assert [waiting.path for waiting in while_open.unsettled] == [file]
    assert [waiting.path for waiting in closed.waiting] == [file]


def test_where_the_system_cannot_say_who_writes_a_file_must_lie_still_for_longer(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network file system, and for a file of another user."""
    monkeypatch.setattr(inbox, "has_writer", lambda _: None)
    dropped(home, "lending_club/loans.csv")

    assert later(home, seconds=50).waiting == []
    assert len(later(home, seconds=70).waiting) == 1


def test_a_file_dated_tomorrow_is_loaded_like_others(home: Settings) -> None:
    """It was never loaded, and nothing named it."""
    file = dropped(home, "lending_club/loans.csv")
    os.utime(file, (time.time() + TOMORROW, time.time() + TOMORROW))

    assert [waiting.path for waiting in later(home).waiting] == [file]


def test_where_the_clock_of_the_file_system_is_ahead_two_equal_looks_settle_a_file(home: Settings) -> None:
    still, growing = dropped(home, "lending_club/a.csv"), dropped(home, "lending_club/b.csv")
    first = later(home, seconds=-TOMORROW)
    growing.write_text("id\n1\n2\n")

    second = later(home, seconds=-TOMORROW, earlier=first)

    assert first.waiting == []
    assert [file.path for file in second.waiting] == [still]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("loans.csv", "it is not in a source's folder"),
        ("Lending Club/loans.csv", "a source's name has only lower case letters"),
        ("lending_club/.loans.csv", "its name says that it is not complete"),
        ("lending_club/loans.csv.part", "its name says that it is not complete"),
        ("lending_club/~$loans.xlsx", "its name says that it is not complete"),
        ("lending_club/loans.csv.refused", "it could not be loaded, and the run that tried says why"),
        ("lending_club/loans/archive/loans.csv", "it is too deep"),
    ],
)
def test_what_is_passed_over_is_named_with_the_reason(home: Settings, name: str, why: str) -> None:
    """A file directly in the inbox was never loaded, and nothing named it."""
    dropped(home, name)

    found = later(home)

    assert found.waiting == []
    assert [file.why.startswith(why) for file in found.passed_over] == [True]


def test_links_and_pipes_are_passed_over(home: Settings, tmp_path: Path) -> None:
    """A link to /etc/passwd was loaded."""
    folder = dropped(home, "lending_club/loans.csv").parent
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "private.csv").write_text("id\n1\n")
    (folder / "a-file.csv").symlink_to(tmp_path / "elsewhere" / "private.csv")
    (folder / "a_folder").symlink_to(tmp_path / "elsewhere")
    (home.inbox / "a_source").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe.csv")

    found = later(home)

    assert [file.path.name for file in found.waiting] == ["loans.csv"]
    assert [file.path.name for file in found.passed_over] == ["a_source", "a-file.csv", "a_folder", "pipe.csv"]


def test_identity_changes_when_the_file_is_replaced_and_not_when_a_run_claims_it(home: Settings) -> None:
    """Prevents a corrected file from being held for the one that could not be loaded."""
    file = dropped(home, "lending_club/loans.csv")
    (before,) = later(home).waiting
    claim(before)
    (in_a_run,) = later(home).waiting
    file.write_text("id\n1\n")
    anew = next(found for found in later(home).waiting if found.path == file)

    assert in_a_run.identity == before.identity != anew.identity


def test_an_empty_home_has_nothing_waiting(home: Settings) -> None:
    assert look(home) == Look()


def test_a_file_that_changed_since_the_look_is_not_claimed(home: Settings) -> None:
    file = dropped(home, "lending_club/loans.csv")
    (found,) = later(home).waiting
    file.write_text("id\n1\n2\n")

    assert claim(found) is None
    assert file.read_text() == "id\n1\n2\n"


def test_a_file_that_was_opened_since_the_look_is_not_claimed(home: Settings) -> None:
    """Its writer would go on writing to the file under its new name."""
    file = dropped(home, "lending_club/loans.csv")
    (found,) = later(home).waiting

    with file.open("a"):
        assert claim(found) is None
    assert file.exists()


def test_what_comes_under_the_name_of_a_claimed_file_is_left(home: Settings) -> None:
    """A corrected file that was renamed into place during a load was deleted unread."""
    taken = claimed(home, "lending_club/loans.csv")
    corrected = dropped(home, "lending_club/loans.csv", "id\n7\n")

    assert delete_loaded(taken, checksum(taken.path))
    assert corrected.read_text() == "id\n7\n"
    assert list(corrected.parent.iterdir()) == [corrected]


def test_a_claimed_file_is_deleted_only_with_the_content_that_was_loaded(home: Settings) -> None:
    taken = claimed(home, "lending_club/loans.csv")
    loaded = checksum(taken.path)
    taken.path.write_text("id\n1\n2\n")

    assert not delete_loaded(taken, loaded)
    assert (home.inbox / "lending_club" / "loans.csv").read_text() == "id\n1\n2\n"


def test_a_claimed_file_is_not_deleted_while_a_process_has_it_open(home: Settings) -> None:
    taken = claimed(home, "lending_club/loans.csv")

    with taken.path.open("a"):
        assert not delete_loaded(taken, checksum(taken.path))
    assert (home.inbox / "lending_club" / "loans.csv").exists()


def test_nothing_is_replaced_by_a_file_that_goes_back_or_is_set_aside(home: Settings) -> None:
    taken = claimed(home, "lending_club/loans.csv", "id\n1\n")
    dropped(home, "lending_club/loans.csv", "id\n2\n")
    dropped(home, "lending_club/loans.csv.refused", "id\n3\n")

    back = give_back(taken)
    again = claim(next(file for file in later(home).waiting if file.path == back))
    assert again is not None
    refused = set_aside(again, "no\x1b row")

    assert (back.name, refused.name) == ("loans-2.csv", "loans-2.csv.refused")
    contents = {path.name: path.read_text() for path in refused.parent.iterdir()}
    assert contents == {
        "loans.csv": "id\n2\n",
        "loans.csv.refused": "id\n3\n",
        "loans-2.csv.refused": "id\n1\n",
        "loans-2.csv.refused.txt": "no\x1b row\n",
    }


def test_a_file_that_was_set_aside_is_named_with_the_reason_until_it_is_tried_again(home: Settings) -> None:
    refused = set_aside(claimed(home, "lending_club/loans.csv", "id\n1\n"), "no\x1b row")

    [passed] = later(home).passed_over
    refused.rename(refused.with_suffix(""))
    [left] = later(home).passed_over
    claim(later(home).waiting[0])

    assert passed.path == refused
    assert passed.why == "it could not be loaded: no row; drop a corrected file, or rename it back"
    assert left.why.startswith("it says why a file was refused that is not here any more")
    assert later(home).passed_over == []


def test_a_reason_is_not_written_through_a_link(home: Settings, tmp_path: Path) -> None:
    taken = claimed(home, "lending_club/loans.csv", "id\n1\n")
    private = tmp_path / "private"
    private.write_text("as it was")
    (home.inbox / "lending_club" / "loans.csv.refused.txt").symlink_to(private)

    set_aside(taken, "no row")

    assert private.read_text() == "as it was"


def test_a_file_that_a_killed_run_had_claimed_goes_back(home: Settings) -> None:
    dropped(home, "bank/loans/2024-01.csv", "id\n1\n")
    script = (
        "import os, signal, time\nfrom orchestration.defs.ingestion.inbox import *\n"
        "from warehouse.settings import Settings\n"
        "settings = Settings.from_environment()\n"
        "with turn(settings, 'bank'):\n"
        "    (file,) = look(settings, now=time.time() + 60).waiting\n"
        "    assert claim(file)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, cwd=REPOSITORY)
    left = [path.name for path in (home.inbox / "bank" / "loans").iterdir()]

    with turn(home, "bank"):
        pass

    assert left == [".claimed"]
    assert (home.inbox / "bank" / "loans" / "2024-01.csv").read_text() == "id\n1\n"


def test_a_source_has_one_run_at_a_time(home: Settings) -> None:
    refused = pytest.raises(LakeBusyError, match=r"inbox/bank/: another is doing it")
    with turn(home, "bank"), turn(home, "union"), refused, turn(home, "bank"):
        pass


def test_a_link_in_the_place_of_the_claimed_folder_is_refused(home: Settings, tmp_path: Path) -> None:
    file = dropped(home, "bank/loans.csv")
    (file.parent / ".claimed").symlink_to(tmp_path)

    with pytest.raises(SourceFileError, match=r"\.claimed must be a folder: found a link"):
        claim(later(home).waiting[0])
    assert file.exists()
