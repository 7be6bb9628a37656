"""What words and flags mean for a loan."""

import pytest

from warehouse.profiling.vocabulary import are_outcomes, meaning_of, outcome_of


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
    ],
)
def test_words_for_outcomes(text: str, meant: str | None) -> None:
    assert meaning_of("outcome", text) == meant


@pytest.mark.parametrize(
    ("name", "flag", "meant"),
    [
        ("default", "1", "default"),
        ("is_default", "False", "repaid"),
        ("good", "Y", "repaid"),
        ("repaid", "no", "default"),
        ("loan_status", "1", None),
        ("good_bad", "1", None),
    ],
)
def test_a_flag_means_what_its_columns_name_says(name: str, flag: str, meant: str | None) -> None:
    """Of ``loan_status`` nobody can know: published files use 1 for both."""
    assert outcome_of(name, flag) == meant


def test_longer_words_go_before_the_words_in_them() -> None:
    assert meaning_of("income_verified", "Not Verified") == "false"
    assert meaning_of("purpose", "credit card refinancing") == "credit_card"


def test_values_are_outcomes_only_if_each_is_and_one_is_a_default() -> None:
    assert are_outcomes(["paid", "charged off"])
    assert not are_outcomes(["paid", "current"])
    assert not are_outcomes(["paid", "charged off", "blue"])
