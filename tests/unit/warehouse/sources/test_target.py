"""Where a file goes, and what its header must have."""

import pytest

from warehouse.errors import SourceFileError
from warehouse.sources.target import columns_to_load, target_of


def test_the_entity_may_be_left_out_where_a_source_has_one() -> None:
    assert target_of("lending_club", None).table == "raw.lending_club_loans"


def test_the_entity_must_be_named_where_a_source_has_several() -> None:
    with pytest.raises(SourceFileError, match=r"one of its entities applications, statements, .*: found none named"):
        target_of("simulated", None)


def test_a_lender_of_ones_own_must_name_its_entity() -> None:
    with pytest.raises(SourceFileError, match=r"'mybank', needs the kind of file .* --entity loans"):
        target_of("mybank", None)


@pytest.mark.parametrize("source", ["MyBank", "my-bank", "1bank", "my bank", "raw.x; drop table y", ""])
def test_a_name_that_is_no_tables_is_refused(source: str) -> None:
    with pytest.raises(SourceFileError, match="name of a source must be lower case"):
        target_of(source, "loans")


@pytest.mark.parametrize(("source", "entity"), [("rejected", "lines"), ("lending", "club_loans")])
def test_a_name_that_would_fill_a_table_of_loanlakes_own_is_refused(source: str, entity: str) -> None:
    with pytest.raises(SourceFileError, match=r"raw\.\w+ is a table of Loanlake's own"):
        target_of(source, entity)


def test_columns_come_in_table_order_and_unknown_ones_are_left_out() -> None:
    target = target_of("simulated", "truth")

    columns = columns_to_load(target, "truth.csv", ("new", "is_shock_period", "application_id", "p_default"))

    assert columns == ("application_id", "p_default", "is_shock_period")


def test_missing_columns_are_named_with_what_was_expected_and_found() -> None:
    target = target_of("simulated", "truth")

    with pytest.raises(
        SourceFileError,
        match=r"truth\.csv is not a file of simulated truth: 1 of 3 columns are missing: is_shock_period; "
        "expected application_id, p_default, is_shock_period; found 2: application_id, p_default; nothing",
    ):
        columns_to_load(target, "truth.csv", ("application_id", "p_default"))


def test_a_file_must_not_bring_the_columns_that_say_where_a_row_came_from() -> None:
    with pytest.raises(SourceFileError, match="must not have columns named _line"):
        columns_to_load(target_of("mybank", "loans"), "loans.csv", ("id", "_line"))
