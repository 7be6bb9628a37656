"""What DuckDB counts of a column of text."""

from tests.unit.warehouse.profiling.columns_of_text import column_of, profile_of
from warehouse.profiling.profile import Shape


def test_empty_texts_and_null_words_are_not_given() -> None:
    column = column_of("12", "", None, " NA ", "null", "7")

    assert (column.n_rows, column.n_given, column.n_distinct) == (6, 2, 2)


def test_texts_that_differ_in_their_digits_have_one_shape() -> None:
    column = column_of("A-1", "A-2", "B-33")

    assert column.shapes == (Shape("A-9", 2, "A-1"), Shape("B-99", 1, "B-33"))


def test_a_column_is_unique_only_if_every_row_has_a_value() -> None:
    file = profile_of("loans", full=["1", "2"], gap=["1", None], twice=["1", "1"])

    assert [column.is_unique for column in file.columns] == [True, False, False]


def test_the_size_of_numbers_is_measured_with_a_comma_as_point() -> None:
    column = column_of("9,5 %", "12,0 %", "7,25 %")

    assert (column.low, column.middle, column.high) == (7.25, 9.5, 12.0)


def test_the_parts_of_a_day_are_the_greatest_of_all_rows() -> None:
    column = column_of("03/04/2024", "07/31/2024")

    assert (column.first_part, column.second_part) == (7, 31)


def test_values_are_kept_only_of_columns_with_few() -> None:
    column = column_of(*(str(number) for number in range(61)))

    assert column.values == ()
    assert column_of("b", "a", "b").values == (("b", 2), ("a", 1))


def test_texts_are_compared_in_one_unicode_form() -> None:
    column = column_of("Mo\u0308bel", "M\u00f6bel", "n/a")

    assert column.values == (("M\u00f6bel", 2),)
    assert column.null_words == ("n/a",)
