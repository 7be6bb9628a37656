"""What words and flags mean for a loan."""

import re

import pytest

from tests.unit.warehouse.macros import macros
from warehouse.profiling.vocabulary import are_outcomes, meaning_of, outcome_of, yes_or_no


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Charged Off", "default"),
        ("written_off", "default"),
        ("FULLY PAID", "repaid"),
        ("Does not meet the credit policy. Status:Fully Paid", "repaid"),
        ("Late (16-30 days)", "running"),
        ("abgeschrieben", "default"),
        ("moved away", None),
        ("no default", "repaid"),
        ("Non-Default", "repaid"),
        ("Non-performing loan", "default"),
        ("unpaid", None),
    ],
)
def test_words_for_outcomes(text: str, meant: str | None) -> None:
    assert meaning_of("outcome", text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("not paid", "Not repaid", "partially paid", "never paid", "paid in part", "hasn't paid", "un-paid", "paid?"),
        *("not default", "not charged off", "no loss", "without loss", "not non performing"),
        *("nicht bezahlt", "teilweise bezahlt", "kein Ausfall", "nicht ausgefallen", "ohne Ausfall", "Bezahlt?"),
        *("no pagado", "¿Pagado?", "pas remboursé", "sans défaut", "não pago", "non rimborsato", "niet afgelost"),
    ],
)
def test_a_negated_partial_or_doubted_outcome_is_asked(text: str) -> None:
    """A word inside such a text means the opposite of what the text says."""
    assert meaning_of("outcome", text) is None


def test_a_negated_verification_is_never_a_verified_income() -> None:
    assert meaning_of("income_verified", "nicht geprüft") == "false"
    assert meaning_of("income_verified", "income not verified") == "false"
    assert meaning_of("income_verified", "never verified") is None


@pytest.mark.parametrize(
    ("name", "flag", "meant"),
    [
        ("default", "1", "default"),
        ("is_default", "False", "repaid"),
        ("good", "Y", "repaid"),
        ("repaid", "no", "default"),
        ("loan_status", "1", None),
        ("not_defaulted", "0", None),
        ("no_default", "yes", None),
        ("nicht_ausfall", "1", None),
        ("partially_paid", "true", None),
        ("good_bad", "1", None),
        ("ausfall", "ja", "default"),
        ("ausgefallen", "Nein", "repaid"),
        ("mora", "SÍ", "default"),
        ("mora", "n", "repaid"),
        ("impaye", "oui", "default"),
        ("inadimplente", "não", "repaid"),
        ("zustand", "ja", None),
        ("kein_ausfall", "ja", None),
    ],
)
def test_a_flag_means_what_its_columns_name_says(name: str, flag: str, meant: str | None) -> None:
    """Of ``loan_status`` nobody can know: published files use 1 for both."""
    assert outcome_of(name, flag) == meant


def test_a_verified_income_is_a_flag_in_any_language() -> None:
    texts = ("ja", "Nein", "J", "oui", "n", "1", "level 1")

    assert [meaning_of("income_verified", text) for text in texts] == [
        *("true", "false", "true", "true", "false", "true"),
        None,
    ]


def test_every_flag_that_the_format_boolean_reads_is_known() -> None:
    grammar = re.compile(macros()["grammars"]()["boolean"])
    flags = ("true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0", "1.0", "0.0")

    assert all(grammar.fullmatch(flag) for flag in flags)
    assert [yes_or_no(flag) for flag in flags] == ["yes", "no"] * 3 + ["yes", "no", "yes", "no"] + ["yes", "no"] * 2


def test_longer_words_go_before_the_words_in_them() -> None:
    assert meaning_of("income_verified", "Not Verified") == "false"
    assert meaning_of("purpose", "credit card refinancing") == "credit_card"


def test_values_are_outcomes_only_if_each_is_and_one_is_a_default() -> None:
    assert are_outcomes(["paid", "charged off"])
    assert not are_outcomes(["paid", "current"])
    assert not are_outcomes(["paid", "charged off", "blue"])
