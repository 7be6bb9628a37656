"""Which lines are rows: against hand-sorted files, and against the csv module for every well-formed one."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.readers.csv_lines import MAX_LINES_OF_A_ROW, Layout, SortedLines, sort_lines


def sorted_lines(text: str, *, n_fields: int = 3, is_last: bool = True, notes: tuple[bytes, ...] = ()) -> SortedLines:
    return sort_lines(text.encode(), Layout(n_fields, notes), is_last=is_last)


def test_lines_with_the_right_number_of_fields_are_rows() -> None:
    found = sorted_lines("1,2,3\n4,5,6\n")

    assert (found.rows, list(found.row_at), found.rejected) == (b"1,2,3\n4,5,6\n", [0, 1], [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2", "2 fields instead of 3"),
        ("1", "1 field instead of 3"),
        ("1,2,3,4", "4 fields instead of 3"),
        ('1,"2"x,3', "broken quotes: text follows a closing quote"),
        ('1,"2,3', "a quote is opened and never closed"),
        ("1,2\0,3", "a NUL byte"),
        ('"1,2,3"', "1 field instead of 3"),
    ],
)
def test_a_line_that_is_no_row_costs_only_itself(line: str, reason: str) -> None:
    """An unclosed quote must not swallow the good rows after it."""
    found = sorted_lines(f"1,2,3\n{line}\n7,8,9\n")

    assert found.rows == b"1,2,3\n7,8,9\n"
    assert list(found.row_at) == [0, 2]
    assert [(at, why) for at, _, why in found.rejected] == [(1, reason)]


def test_a_quoted_line_break_keeps_the_row_whole_and_later_lines_true() -> None:
    found = sorted_lines('1,"two\nlines",3\n4,5,6\n')

    assert found.rows == b'1,"two\nlines",3\n4,5,6\n'
    assert list(found.row_at) == [0, 2]


def test_a_quote_that_swallows_other_rows_costs_only_its_own_line() -> None:
    """Line 1 opens a quote that only line 3's own quote would close; line 2 is a row all the same."""
    found = sorted_lines('1,"2,3\n4,5,6\n7,"8,8",9\n')

    assert found.rows == b'4,5,6\n7,"8,8",9\n'
    assert [at for at, _, _ in found.rejected] == [0]


def test_blank_lines_are_neither_rows_nor_rejected() -> None:
    found = sorted_lines("1,2,3\n\n   \n4,5,6\n")

    assert (list(found.row_at), found.rejected) == ([0, 3], [])


def test_windows_line_ends_are_no_part_of_a_value() -> None:
    found = sorted_lines("1,2,3\r\n4,5\r\n7,8,9\r\n")

    assert list(found.row_at) == [0, 2]
    assert [why for _, _, why in found.rejected] == ["2 fields instead of 3"]


def test_a_note_with_the_right_number_of_commas_is_no_row() -> None:
    """The public Lending Club file's totals are padded with commas to the width of a loan."""
    found = sorted_lines("1,2,3\nTotal amount: 9,,\n", notes=(b"Total amount",))

    assert found.rows == b"1,2,3\n"
    assert found.rejected == [(1, b"Total amount: 9,,", "a note of the file about itself, not a row")]


def test_an_open_quote_at_the_end_of_a_block_waits_for_the_next_block() -> None:
    found = sorted_lines('1,2,3\n4,"five\n', is_last=False)

    assert (found.rows, found.n_lines, found.n_bytes) == (b"1,2,3\n", 1, len("1,2,3\n"))


def test_an_open_quote_is_given_up_after_the_longest_row() -> None:
    """Else one broken quote would make the rest of a file wait in memory."""
    found = sorted_lines('1,"2,3\n' + "4,5,6\n" * MAX_LINES_OF_A_ROW, is_last=False)

    assert found.rejected == [(0, b'1,"2,3', "a quote is opened and never closed")]
    assert len(found.row_at) == MAX_LINES_OF_A_ROW


def test_a_file_of_one_column_has_rows_too() -> None:
    found = sorted_lines("1\n\n2\n3,4\n", n_fields=1)

    assert (list(found.row_at), [at for at, _, _ in found.rejected]) == ([0, 2], [3])


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


@given(rows=st.lists(st.tuples(values, values, values), min_size=1, max_size=8), quoting=st.sampled_from([0, 1]))
def test_every_row_of_a_well_formed_file_is_found_on_its_line(rows: list[tuple[str, str, str]], quoting: int) -> None:
    text, starts, line = "", [], 0
    for row in rows:
        written = io.StringIO()
        csv.writer(written, quoting=quoting, lineterminator="\n").writerow(row)
        starts.append(line)
        text += written.getvalue()
        line += written.getvalue().count("\n")

    found = sorted_lines(text)

    assert (found.rows.decode(), list(found.row_at), found.rejected) == (text, starts, [])


@given(text=st.text(st.sampled_from('a,"\n\r'), max_size=60), cut=st.integers(0, 60))
def test_reading_in_blocks_finds_what_reading_at_once_finds(text: str, cut: int) -> None:
    """A block may end anywhere: within quotes, on a blank line, before the last line."""
    block = text.encode() + b"\n"
    whole = sort_lines(block, Layout(3), is_last=True)
    first_lines = block.rfind(b"\n", 0, cut) + 1

    first = sort_lines(block[:first_lines], Layout(3), is_last=False)
    rest = sort_lines(block[first.n_bytes :], Layout(3), is_last=True)

    assert first.rows + rest.rows == whole.rows
    assert [*first.row_at, *(first.n_lines + at for at in rest.row_at)] == list(whole.row_at)
