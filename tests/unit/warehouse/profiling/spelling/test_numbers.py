"""How numbers are written: separators, currency, percent, negatives, units."""

from typing import Any

import pytest

from tests.unit.warehouse.profiling.columns_of_text import column_of
from warehouse.profiling.spelling import Spelling, spelling_of


def _spelling(*texts: str) -> Spelling:
    return spelling_of(column_of(*texts), may_be_date=False)


@pytest.mark.parametrize(
    ("texts", "keys"),
    [
        (["12000", "8.5", "1e5", "-3"], {}),
        (["$1,234.00", "$12.00"], {"thousands": ",", "currency": ["$"]}),
        (["1,234.00 USD", "USD 12.00"], {"thousands": ",", "currency": ["USD"]}),
        (["1.234,50 €", "12,00 €"], {"decimal": ",", "thousands": ".", "currency": ["€"]}),
        (["12,5", "7,25"], {"decimal": ","}),
        (["1 234,5", "12 345,0"], {"decimal": ",", "thousands": "space"}),
        (["1'234.50", "900.00"], {"thousands": "'"}),
        (["12,34,567.00", "1,000.00"], {"thousands": "lakh"}),
        (["1,234,567", "12"], {"thousands": ","}),
        (["(1,234.00)", "5.00"], {"thousands": ",", "negative": "parentheses"}),
        (["12-", "3"], {"negative": "trailing"}),
        (["12%", "9.9 %"], {"sign": "required"}),
        (["12%", "0.12"], {"sign": "optional"}),
        (["36 months", "60 months"], {"suffix": "months"}),
    ],
)
def test_the_details_of_numbers(texts: list[str], keys: dict[str, Any]) -> None:
    spelling = _spelling(*texts)

    assert (spelling.kind, dict(spelling.keys)) == ("number", keys)
    assert spelling.choices == {}


@pytest.mark.parametrize(
    ("texts", "choices"),
    [
        (["1,234", "12,500"], (",", "none")),
        (["1.234", "12.500"], ("none", ".")),
        (["1.234", "12.345", "950"], ("none", ".")),
        (["1.234 €", "12.345 €", "1500 €"], ("none", ".")),
    ],
)
def test_three_digits_after_each_separator_may_be_thousands_or_a_fraction(
    texts: list[str], choices: tuple[str, ...]
) -> None:
    assert _spelling(*texts).choices == {"thousands": choices}


@pytest.mark.parametrize(
    ("texts", "choices"),
    [
        (["$12.50", "13 USD"], {}),
        (["€ 12.50", "EUR 8.25"], {}),
        (["€ 12.50", "EUR 8.25", "$ 9.75"], {"currency": ("$", "EUR")}),
        (["12.50 kr", "8.25 SEK"], {"currency": ("SEK", "kr")}),
    ],
)
def test_two_currencies_of_one_column_are_a_choice(texts: list[str], choices: dict[str, Any]) -> None:
    """A sign and its code are one currency; kr is the sign of three."""
    assert _spelling(*texts).choices == choices


def test_a_zero_before_the_separator_shows_a_fraction() -> None:
    assert (_spelling("0.125", "1.250").keys, _spelling("0.125", "1.250").choices) == ({}, {})
    assert (_spelling("0,125", "1,250").keys, _spelling("0,125", "1,250").choices) == ({"decimal": ","}, {})
    assert _spelling("-0,125", "12,250").choices == {}


def test_a_few_texts_among_numbers_are_odd_and_shown() -> None:
    spelling = _spelling("12000", "8000", "a lot", "5000", "20000", "7000")

    assert (spelling.kind, spelling.n_odd, spelling.odd) == ("number", 1, ("a lot",))


def test_many_texts_among_numbers_make_a_text() -> None:
    assert _spelling("12000", "a lot", "little").kind == "text"


def test_words_for_no_value_are_missing_rather_than_odd() -> None:
    spelling = _spelling("12", "-", "n.a.", "5")

    assert (spelling.kind, spelling.n_odd, set(spelling.missing)) == ("number", 0, {"-", "n.a."})
