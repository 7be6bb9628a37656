"""What a user can mend is one message that says what to do; a fault of the program keeps its traceback."""

import errno
import sqlite3
import sys
from pathlib import Path

import duckdb
import pytest

from warehouse import cli
from warehouse.errors import LakeBusyError
from warehouse.failures import explained
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/srv/home/landing"), "its file system is read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/home/landing"), "this user may not"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/home/landing"), "the disk is full"),
        (sqlite3.DatabaseError("file is not a database"), "a database of the home is damaged"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "cannot be written"),
        (LakeBusyError("held by another"), "held by another"),
    ],
)
def test_what_a_user_can_mend_is_explained(error: Exception, message: str) -> None:
    assert message in str(explained(error))


@pytest.mark.parametrize(
    "error", [KeyError("a"), OSError("?"), FileNotFoundError(2, "No such file", "x"), ValueError()]
)
def test_a_fault_of_the_program_is_not(error: Exception) -> None:
    assert explained(error) is None


def test_a_catalog_with_a_damaged_page_is_explained(home: Settings) -> None:
    """Its header is whole: it is attached, and a query finds the damage."""
    with writer("a test", home):
        pass
    content = bytearray(home.lake_catalog.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    home.lake_catalog.write_bytes(content)

    with pytest.raises((duckdb.Error, Exception)) as raised, connect(home) as con:
        con.execute("from raw.files").fetchall()

    assert explained(raised.value) is not None


def test_the_command_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the home is no folder that can be written to; as root, permissions alone stop nobody."""
    (tmp_path / "loans.csv").write_text("id\n1\n")
    monkeypatch.setenv("LOANLAKE_HOME", "/proc/self/home")
    monkeypatch.setattr(sys, "argv", ["loanlake", "ingest", "mybank", str(tmp_path / "loans.csv"), "--entity", "loans"])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/srv/home/landing")

    monkeypatch.setattr("warehouse.commands.ingest_files", refuse)
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(
        "loanlake: /srv/home/landing cannot be opened or written: its file system is read-only. LOANLAKE_HOME must be"
    )
