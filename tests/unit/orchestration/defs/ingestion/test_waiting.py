"""What a run does with the files that wait in a lender's inbox."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.defs.ingestion import inbox
from orchestration.defs.ingestion.waiting import load_waiting
from warehouse.errors import LakeBusyError, SourceFileError
from warehouse.lake.connection import connect, lease
from warehouse.settings import Settings
from warehouse.sources import ingest


def dropped(settings: Settings, name: str, content: str) -> Path:
    path = settings.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files settle without a wait; tests/unit/orchestration/defs/ingestion/test_inbox.py is about when they do."""
    monkeypatch.setattr(inbox, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def said() -> list[str]:
    """What a run says of files that stay."""
    return []


def during_a_load(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something while the first load that follows has read its file, and has not committed."""
    insert, acts = ingest.insert_rows, [act]

    def inserted(*arguments: Any) -> int:
        if acts:
            acts.pop()()
        return insert(*arguments)

    monkeypatch.setattr(ingest, "insert_rows", inserted)


def test_a_file_that_cannot_be_loaded_is_set_aside_and_those_beside_it_are_loaded(
    home: Settings, said: list[str]
) -> None:
    first = dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")
    bad = dropped(home, "bank/loans/2024-02.csv", "loan,sum\n2,100\n")
    last = dropped(home, "bank/loans/2024-03.csv", "loan,amount\n3,100\n")

    with pytest.raises(
        SourceFileError,
        match=r"1 of the inbox's files could not be loaded, .*\(inbox/bank/loans/2024-02.csv.refused\)\. Correct them",
    ):
        load_waiting("bank", home, said.append)

    assert [path.exists() for path in (first, bad, last)] == [False, False, False]
    assert bad.with_name("2024-02.csv.refused").read_text() == "loan,sum\n2,100\n"
    with connect(home) as con:
        assert con.execute("select loan from raw.bank_loans order by 1").fetchall() == [("1",), ("3",)]


def test_a_file_that_was_refused_stops_no_later_run(home: Settings, said: list[str]) -> None:
    """Each failed on it anew, and no good file beside it came into the tables."""
    dropped(home, "bank/loans/2024-01.csv", "loan,amount\n")
    with pytest.raises(SourceFileError, match="could not be loaded"):
        load_waiting("bank", home, said.append)
    dropped(home, "bank/loans/2024-02.csv", "loan,amount\n2,100\n")

    assert [file.status for file in load_waiting("bank", home, said.append)] == ["loaded"]
    assert load_waiting("bank", home, said.append) == []


def test_a_busy_lake_leaves_the_files_for_the_next_run(home: Settings, said: list[str]) -> None:
    settings, file = replace(home, lease_seconds=0.1), dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")

    with lease("another process", home), pytest.raises(LakeBusyError):
        load_waiting("bank", settings, said.append)

    assert file.exists()
    assert [file.status for file in load_waiting("bank", settings, said.append)] == ["loaded"]


def test_a_run_leaves_the_files_of_other_lenders_to_theirs(home: Settings, said: list[str]) -> None:
    """One that cannot be loaded would stop it."""
    others = dropped(home, "union/loans/2024-01.csv", "")

    assert load_waiting("bank", home, said.append) == []
    assert others.exists()


def test_a_file_that_grows_during_its_load_is_not_loaded_in_part(
    home: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot say that its sender has it open: 1,000 of 5,000 rows were loaded, and it was deleted."""
    monkeypatch.setattr(inbox, "has_writer", lambda _: False)
    file = dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")

    with file.open("a") as sender:
        during_a_load(monkeypatch, lambda: print("2,200", file=sender, flush=True))
        while_sent = load_waiting("bank", home, said.append)
    when_sent = load_waiting("bank", home, said.append)

    assert while_sent == []
    assert said[0].startswith("inbox/bank/loans/2024-01.csv stays in the inbox: 2024-01.csv must be complete")
    assert [(result.n_rows, result.status) for result in when_sent] == [(2, "loaded")]
    with connect(home) as con:
        assert con.execute("select loan, _file from raw.bank_loans order by 1").fetchall() == [
            ("1", "2024-01.csv"),
            ("2", "2024-01.csv"),
        ]


def test_a_corrected_file_that_comes_during_the_load_is_loaded_next(
    home: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted unread."""
    dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")
    corrected = dropped(home, "bank/loans/.incoming", "loan,amount\n1,777\n")
    during_a_load(monkeypatch, lambda: corrected.replace(home.inbox / "bank/loans/2024-01.csv"))

    first, second = load_waiting("bank", home, said.append), load_waiting("bank", home, said.append)

    assert [len(first), len(second)] == [1, 1]
    with connect(home) as con:
        assert con.execute("select amount from raw.bank_loans order by 1").fetchall() == [("100",), ("777",)]
    assert list((home.inbox / "bank" / "loans").iterdir()) == []


def test_an_interrupted_run_leaves_its_files(home: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    file = dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")
    during_a_load(monkeypatch, interrupt)

    with pytest.raises(KeyboardInterrupt):
        load_waiting("bank", home, said.append)

    assert list(file.parent.iterdir()) == [file]


def test_what_stays_in_the_inbox_is_named_with_the_reason(home: Settings, said: list[str]) -> None:
    with dropped(home, "bank/loans/2024-01.csv", "loan,amount\n").open("a"):
        dropped(home, "bank/loans/2024-02.csv.part", "loan,amount\n")
        load_waiting("bank", home, said.append)

    assert said == [
        "inbox/bank/loans/2024-01.csv stays in the inbox: it may still be written",
        "inbox/bank/loans/2024-02.csv.part is not loaded: its name says that it is not complete: its sender renames it "
        "when it is",
    ]
