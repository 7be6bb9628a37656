"""A person in the files of batches: found, taken out, or called by a pseudonym; nobody else is touched."""

import duckdb
import pytest

from warehouse.batches import BatchFiles, SentRow
from warehouse.batches.erasing import erase_from_batches, held_in_batches
from warehouse.batches.files import sent_rows
from warehouse.person import Person
from warehouse.settings import Settings

PERSON = Person("bank-b1", {"bank-1"}, {"d-1"})
PATTERN = r"\bbank-b1\b"


@pytest.fixture
def files(home: Settings) -> BatchFiles:
    """A batch of two borrowers, the second one's problem showing the first one's id, and its results."""
    files = BatchFiles(home, "b-1")
    mine = '{"application_id":"bank-1","borrower_id":"bank-b1","requested_amount":5.5}'
    rows = [
        SentRow(row_number=1, application_id="bank-1", borrower_id="bank-b1", request=mine),
        SentRow(row_number=2, application_id="bank-2", borrower_id="bank-b2", request='{"application_id":"bank-2"}'),
        SentRow(row_number=3, borrower_id="bank-b2", problem='{"found":"bank-b1"}'),
    ]
    files.write_rows(rows)
    duckdb.execute(
        "copy (from (values (1, 'bank-1', 'd-1', 0.5, null), (2, 'bank-2', 'd-2', 0.25, null), "
        '(3, null, null, null, \'{"found":"bank-b1"}\')) '
        f"as rows(row_number, application_id, decision_id, probability, problem)) to '{files.draft_of(files.results)}' "
        "(format parquet)"
    )
    files.put(files.results)
    return files


def test_what_is_held_of_a_person_is_told(home: Settings, files: BatchFiles) -> None:
    sent, scored = held_in_batches(home, PERSON)

    assert (sent["batch"], sent["row_number"], sent["borrower_id"]) == ("b-1", 1, "bank-b1")
    assert (scored["decision_id"], scored["probability"]) == ("d-1", 0.5)


def test_an_erased_person_is_in_no_file(home: Settings, files: BatchFiles) -> None:
    assert erase_from_batches(home, PERSON, PATTERN, rename=None) == 2

    assert [row.row_number for _, row in sent_rows(home)] == [2]
    assert duckdb.execute(f"select row_number, probability from '{files.results}'").fetchall() == [(2, 0.25)]
    assert erase_from_batches(home, PERSON, PATTERN, rename=None) == 0


def test_a_pseudonymised_person_keeps_rows_under_other_names(home: Settings, files: BatchFiles) -> None:
    names = {"bank-b1": "bank-x", "bank-1": "bank-y", "d-1": "bank-z"}

    erase_from_batches(home, PERSON, PATTERN, rename=lambda name: names[name])

    first, second, third = (row for _, row in sent_rows(home))
    assert (first.application_id, first.borrower_id) == ("bank-y", "bank-x")
    assert first.request == '{"application_id":"bank-y","borrower_id":"bank-x","requested_amount":5.5}'
    assert second.application_id == "bank-2"
    assert third.problem == '{"found":"bank-x"}'
    found = duckdb.execute(f"select application_id, decision_id, problem from '{files.results}'").fetchall()
    assert found == [("bank-y", "bank-z", None), ("bank-2", "d-2", None), (None, None, '{"found":"bank-x"}')]
