"""What a run does with the files that wait, and with a lender that it could build nothing for."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.defs.ingestion.assets import load_waiting, require_models
from warehouse.errors import LakeBusyError, SourceFileError
from warehouse.lake import connect, lease
from warehouse.settings import Settings


def dropped(settings: Settings, name: str, content: str) -> Path:
    path = settings.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (1_000_000, 1_000_000))
    return path


def test_a_file_that_cannot_be_loaded_is_set_aside_and_those_beside_it_are_loaded(home: Settings) -> None:
    first = dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")
    bad = dropped(home, "bank/loans/2024-02.csv", "loan,sum\n2,100\n")
    last = dropped(home, "bank/loans/2024-03.csv", "loan,amount\n3,100\n")

    with pytest.raises(
        SourceFileError,
        match=r"1 of the inbox's files could not be loaded, .*\(inbox/bank/loans/2024-02.csv.refused\)\. Mend them",
    ):
        load_waiting("bank", home)

    assert [path.exists() for path in (first, bad, last)] == [False, False, False]
    assert bad.with_name("2024-02.csv.refused").read_text() == "loan,sum\n2,100\n"
    with connect(home) as con:
        assert con.execute("select loan from raw.bank_loans order by 1").fetchall() == [("1",), ("3",)]


def test_a_file_that_was_refused_stops_no_later_run(home: Settings) -> None:
    """Each failed on it anew, and no good file beside it came into the tables."""
    dropped(home, "bank/loans/2024-01.csv", "loan,amount\n")
    with pytest.raises(SourceFileError, match="could not be loaded"):
        load_waiting("bank", home)
    dropped(home, "bank/loans/2024-02.csv", "loan,amount\n2,100\n")

    assert [file.status for file in load_waiting("bank", home)] == ["loaded"]
    assert load_waiting("bank", home) == []


def test_a_busy_lake_leaves_the_files_for_the_next_run(home: Settings) -> None:
    settings, file = replace(home, lease_seconds=0.1), dropped(home, "bank/loans/2024-01.csv", "loan,amount\n1,100\n")

    with lease("another process", home), pytest.raises(LakeBusyError):
        load_waiting("bank", settings)

    assert file.exists()
    assert [file.status for file in load_waiting("bank", settings)] == ["loaded"]


def test_a_run_leaves_the_files_of_other_lenders_to_theirs(home: Settings) -> None:
    """One that cannot be loaded would stop it."""
    others = dropped(home, "union/loans/2024-01.csv", "")

    assert load_waiting("bank", home) == []
    assert others.exists()


def test_a_lender_that_no_model_reads_is_refused_by_name() -> None:
    """Its files stayed in the inbox, and the run that was started for them ended green."""
    with pytest.raises(SourceFileError, match=r"found 'lending_clubb', and models of .*lending_club.*raw.bank_loans"):
        require_models("lending_clubb", ["raw.bank_loans"])
    with pytest.raises(SourceFileError, match="found 'bank'"):
        require_models("bank", [])

    require_models("bank", ["raw.bank_loans"])
    require_models("lending_club", [])
