"""Ids go from what was written for people, and nothing else changes."""

import sqlite3
from contextlib import closing
from dataclasses import replace

from ml.registry.registered_version import list_versions, record_version
from orchestration.people.erased_texts import erase_texts
from tests.registered_version import registered_version
from warehouse.people.erasure import naming_pattern
from warehouse.people.person import Person
from warehouse.settings import Settings

ANN = naming_pattern(Person("lc-member-7", {"lc-12"}))


def test_a_log_keeps_its_length_and_the_ids_of_others(home: Settings) -> None:
    """A service that appends to it must not find it shorter."""
    log = home.logs / "api.log"
    log.parent.mkdir(parents=True)
    log.write_text('scored lc-12 of "lc-member-7", lc-123 of lc-member-77\n')

    assert erase_texts(home, ANN) == 1

    assert log.read_text() == 'scored ***** of "***********", lc-123 of lc-member-77\n'
    assert erase_texts(home, ANN) == 0


def test_a_prepared_page_keeps_no_id_that_a_gate_named(home: Settings) -> None:
    page = home.page("lending_club", "models")
    page.parent.mkdir(parents=True)
    page.write_text('{"message": "1 of 500 rows differ (lc-12)"}')

    assert erase_texts(home, ANN) == 1
    assert page.read_text() == '{"message": "1 of 500 rows differ (*****)"}'


def test_a_database_keeps_no_byte_of_them_while_another_reads_it(home: Settings) -> None:
    path = home.dagster_home / "history" / "runs.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("pragma journal_mode = wal")
        other.execute("create table events (id integer primary key, n bigint, body text)")
        other.execute("""insert into events (n, body) values (12, '{"such as": ["lc-12", "lc-123"]}'), (7, null)""")

        assert erase_texts(home, ANN) == 1

        assert other.execute("select n, body from events").fetchall() == [
            (12, '{"such as": ["erased", "lc-123"]}'),
            (7, None),
        ]
    assert [file for file in path.parent.iterdir() if b'"lc-12"' in file.read_bytes()] == []


def test_short_numbers_are_left_alone(home: Settings) -> None:
    """An id of 7 cannot be told from seven rows."""
    (home.logs / "run.log").parent.mkdir(parents=True)
    (home.logs / "run.log").write_text("7 rows, of 912345678901234\n")

    erase_texts(home, naming_pattern(Person("7", {"912345678901234"})))

    assert (home.logs / "run.log").read_text() == "7 rows, of ***************\n"


def test_what_a_gate_said_of_a_registered_version_names_nobody_any_more(home: Settings) -> None:
    refused = registered_version(refused_by=("offline_equals_online",), gate_messages=("row lc-12 differs",))
    record_version(home, refused)

    erase_texts(home, ANN)

    assert list_versions(home, "bank") == [replace(refused, gate_messages=("row ***** differs",))]
