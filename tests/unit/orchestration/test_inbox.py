"""Which files of the inbox are taken."""

import os
from pathlib import Path

from orchestration.inbox import waiting_files
from warehouse.settings import Settings


def dropped(settings: Settings, name: str, *, age_seconds: float = 60) -> Path:
    path = settings.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id\n1\n")
    os.utime(path, (1_000_000 - age_seconds, 1_000_000 - age_seconds))
    return path


def test_source_and_entity_come_from_the_directories(home: Settings) -> None:
    dropped(home, "lending_club/loans.csv")
    dropped(home, "simulated/outcomes/2024-01.csv")

    found = waiting_files(home, now=1_000_000)

    assert [(file.source, file.entity, file.path.name) for file in found] == [
        ("lending_club", None, "loans.csv"),
        ("simulated", "outcomes", "2024-01.csv"),
    ]


def test_a_file_that_is_still_being_written_waits(home: Settings) -> None:
    """Prevents half a file from being loaded while it is copied."""
    dropped(home, "lending_club/loans.csv", age_seconds=1)

    assert waiting_files(home, now=1_000_000) == []


def test_hidden_partial_refused_and_too_deep_files_are_not_taken(home: Settings) -> None:
    dropped(home, "lending_club/.loans.csv")
    dropped(home, "lending_club/loans.csv.part")
    dropped(home, "lending_club/loans.csv.refused")
    dropped(home, "lending_club/loans/archive/loans.csv")

    assert waiting_files(home, now=1_000_000) == []


def test_identity_changes_when_the_file_is_replaced(home: Settings) -> None:
    """Prevents a mended file from being taken for the one that could not be loaded."""
    dropped(home, "lending_club/loans.csv", age_seconds=60)
    before = waiting_files(home, now=1_000_000)[0].identity
    dropped(home, "lending_club/loans.csv", age_seconds=30)

    assert waiting_files(home, now=1_000_000)[0].identity != before


def test_an_empty_home_has_nothing_waiting(home: Settings) -> None:
    assert waiting_files(home) == []
