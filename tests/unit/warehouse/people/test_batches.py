"""A person in the files of batches: found, taken out, or called by a pseudonym; nobody else is touched."""

from collections.abc import Iterator

import duckdb
import msgspec
import pytest

from warehouse.batches import BatchFiles, SentRow
from warehouse.batches.files import sent_rows
from warehouse.people.batches import erase_from_batches, held_in_batches
from warehouse.people.person import Person
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


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_draft_of_rows_is_found_and_deleted(home: Settings, *, is_renamed: bool) -> None:
    """One of a living process, whose id another one may have by now; its last line is not whole."""
    files = BatchFiles(home, "b-2")
    draft = files.draft_of(files.rows)
    draft.write_bytes(msgspec.json.encode(SentRow(row_number=1, borrower_id="bank-b1")) + b'\n{"row_number":2,"borr')

    held = held_in_batches(home, PERSON)
    n_changed = erase_from_batches(home, PERSON, PATTERN, rename=(lambda name: f"x-{name}") if is_renamed else None)

    assert [row["row_number"] for row in held] == [1]
    assert (n_changed, draft.exists()) == (1, False)


def test_a_draft_without_the_person_is_left_to_its_writer(home: Settings) -> None:
    files = BatchFiles(home, "b-2")
    draft = files.draft_of(files.rows)
    draft.write_bytes(msgspec.json.encode(SentRow(row_number=1, borrower_id="bank-b2")) + b"\n")

    assert erase_from_batches(home, PERSON, PATTERN, rename=None) == 0
    assert draft.exists()


def test_rows_that_could_not_be_written_leave_nothing(home: Settings) -> None:
    def rows() -> Iterator[SentRow]:
        yield SentRow(row_number=1, borrower_id="bank-b1")
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        BatchFiles(home, "b-2").write_rows(rows())

    assert list(home.batches.iterdir()) == []


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
