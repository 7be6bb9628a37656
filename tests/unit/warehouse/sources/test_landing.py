"""Files as received: copied once, never edited, and a name that means one file."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from warehouse.errors import FileChangedError, SourceFileError
from warehouse.sources import landing
from warehouse.sources.landing import receive


@pytest.fixture
def received(tmp_path: Path) -> Path:
    path = tmp_path / "desk" / "loans.csv.gz"
    path.parent.mkdir()
    path.write_bytes(b"a,b\n1,2\n")
    return path


def test_a_received_file_is_a_copy_with_its_checksum(tmp_path: Path, received: Path) -> None:
    landed = receive(received, tmp_path / "landing")

    assert landed.path == tmp_path / "landing" / "loans.csv.gz"
    assert landed.path.read_bytes() == b"a,b\n1,2\n"
    assert (landed.sha256, landed.n_bytes) == (hashlib.sha256(b"a,b\n1,2\n").hexdigest(), 8)
    assert received.exists()


def test_a_landed_file_is_not_writable(tmp_path: Path, received: Path) -> None:
    assert receive(received, tmp_path / "landing").path.stat().st_mode & 0o222 == 0


def test_the_same_content_again_lands_once(tmp_path: Path, received: Path) -> None:
    first = receive(received, tmp_path / "landing")

    again = receive(received, tmp_path / "landing")

    assert (again.path, again.is_new) == (first.path, False)
    assert list((tmp_path / "landing").iterdir()) == [first.path]


def test_another_content_of_the_same_name_lands_under_its_checksum(tmp_path: Path, received: Path) -> None:
    """The lake names rows by file: `loans.csv line 7` must not mean two lines."""
    receive(received, tmp_path / "landing")
    received.write_bytes(b"a,b\n3,4\n")

    landed = receive(received, tmp_path / "landing")

    checksum = hashlib.sha256(b"a,b\n3,4\n").hexdigest()
    assert landed.path.name == f"loans-{checksum[:8]}.csv.gz"
    assert (tmp_path / "landing" / "loans.csv.gz").read_bytes() == b"a,b\n1,2\n"


def test_a_file_that_lies_in_the_landing_directory_is_taken_where_it_is(tmp_path: Path, received: Path) -> None:
    landed = receive(received, received.parent)

    assert (landed.path, landed.is_new) == (received, False)


def test_withdrawing_takes_away_only_what_was_brought(tmp_path: Path, received: Path) -> None:
    landed = receive(received, tmp_path / "landing")
    again = receive(received, tmp_path / "landing")

    again.withdraw()
    assert landed.path.exists()

    landed.withdraw()
    assert not landed.path.exists()


def test_a_file_that_is_written_while_it_is_copied_is_refused(
    tmp_path: Path, received: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = landing._checksum

    def slowly(file: BinaryIO, *, copy_to: BinaryIO | None = None) -> tuple[str, int]:
        result = copied(file, copy_to=copy_to)
        received.write_bytes(b"a,b\n1,2\n3,4\n")
        return result

    monkeypatch.setattr(landing, "_checksum", slowly)

    with pytest.raises(FileChangedError, match=r"loans\.csv\.gz must be complete .* \(8 bytes, now 12\); nothing"):
        receive(received, tmp_path / "landing")
    assert list((tmp_path / "landing").iterdir()) == []


def test_a_file_that_is_removed_or_replaced_after_it_was_copied_was_complete(tmp_path: Path, received: Path) -> None:
    first = receive(received, tmp_path / "landing")
    received.unlink()
    first.require_unchanged()

    received.write_bytes(b"a,b\n1,2\n3,4\n")
    second = receive(received, tmp_path / "landing")
    with received.open("ab") as file:
        file.write(b"5,6\n")

    with pytest.raises(FileChangedError):
        second.require_unchanged()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nonesuch.csv", "found nothing at"),
        ("directory", "found a directory at"),
        ("empty.csv", "found an empty file"),
        ("pipe.csv", "found a pipe, socket or device at"),
        ("link.csv", "found a link at .*; name the file that it points to, /etc/passwd"),
        ("new\nline.csv", r"found a control character, .* in 'new\\nline\.csv'; rename it"),
        ("\udcff.csv", r"found a control character, or bytes that are not UTF-8 in '\\udcff\.csv'"),
        ("x" * 201, "at most 200 bytes .*: found 201 bytes"),
    ],
)
def test_what_is_no_file_with_content_is_refused(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.csv")

    with pytest.raises(SourceFileError, match=found):
        receive(tmp_path / name, tmp_path / "landing")
