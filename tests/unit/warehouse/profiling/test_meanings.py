"""Which column means what: names propose, values decide."""

import pytest

from tests.unit.warehouse.profiling.columns_of_text import profile_of
from warehouse.profiling.meanings import Contract, accepted_values, assigned, contract_columns, meanings
from warehouse.profiling.profile import FileProfile
from warehouse.profiling.spelling import spelling_of
from warehouse.profiling.vocabulary import words


def _assigned(file: FileProfile, contract: Contract = "applications", **said: str | None) -> dict[str, str]:
    columns = [(column, spelling_of(column, may_be_date=True)) for column in file.columns]
    return assigned(columns, contract, said)


def test_every_meaning_is_a_column_of_its_contracts() -> None:
    known = {contract: set(contract_columns(contract)) for contract in ("applications", "outcomes", "statements")}
    known["demographics"] = set(contract_columns("demographics"))
    not_in_a_contract = {"outcome"}

    wrong = {
        (meaning.name, contract)
        for meaning in meanings().values()
        for contract in meaning.of
        if meaning.name not in known[contract] | not_in_a_contract
    }

    # the file of the loans often has their outcomes too
    assert {name for name, contract in wrong if contract != "applications"} == set()
    assert {name for name, contract in wrong if contract == "applications"} == {"outcome_at", "loss_amount"}


def test_every_word_of_a_vocabulary_means_an_accepted_value() -> None:
    for column in ("purpose", "home_ownership"):
        assert set(words(column).values()) == set(accepted_values(column))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (
            {"loan_id": ["1", "2"], "issue_d": ["2020-01-01", "2020-02-01"], "loan_amnt": ["5000", "6000"]},
            {"application_id": "loan_id", "decided_at": "issue_d", "requested_amount": "loan_amnt"},
        ),
        (
            {"loan_id": ["1", "2"], "member_id": ["", ""], "loan_amnt": ["5000", "6000"]},
            {"application_id": "loan_id", "requested_amount": "loan_amnt"},
        ),
        (
            {"vertragsnummer": ["1", "2"], "auszahlung": ["01.02.2020", "13.02.2020"], "betrag": ["500,0", "60,5"]},
            {"application_id": "vertragsnummer", "decided_at": "auszahlung", "requested_amount": "betrag"},
        ),
        (
            {"numero_prestamo": ["1", "2"], "monto": ["500", "600"], "plazo": ["12", "24"], "estado": ["a", "b"]},
            {
                "application_id": "numero_prestamo",
                "requested_amount": "monto",
                "term_months": "plazo",
                "outcome": "estado",
            },
        ),
    ],
)
def test_names_in_several_languages(columns: dict[str, list[str | None]], found: dict[str, str]) -> None:
    assert _assigned(profile_of("loans", **columns)) == found


def test_an_amount_whose_values_are_texts_is_no_amount() -> None:
    assert "requested_amount" not in _assigned(profile_of("loans", amount=["small", "large"]))


def test_a_whole_name_goes_before_a_part_of_one() -> None:
    file = profile_of("loans", max_loan_amount_ever=["900", "800"], amount=["500", "600"])

    assert _assigned(file)["requested_amount"] == "amount"


def test_a_status_of_something_else_is_no_outcome() -> None:
    file = profile_of("loans", marital_status=["single", "married"], employment_status=["full", "part"])

    assert "outcome" not in _assigned(file)


def test_values_that_are_outcomes_make_one_whatever_the_name() -> None:
    file = profile_of("loans", how=["Fully Paid", "Charged Off", "Current"])

    assert _assigned(file)["outcome"] == "how"


def test_an_id_that_repeats_is_no_application() -> None:
    file = profile_of("loans", account_id=["1", "1", "1", "2"])

    assert "application_id" not in _assigned(file)


def test_what_a_person_said_stays() -> None:
    file = profile_of("loans", amount=["500", "600"], paid_out=["400", "500"], purpose=["car", "car"])

    found = _assigned(file, requested_amount="paid_out", purpose=None)

    assert found["requested_amount"] == "paid_out"
    assert "purpose" not in found


def test_a_date_that_few_loans_have_is_not_when_loans_end() -> None:
    file = profile_of(
        "loans", settlement_date=["2020-01-01", None, None, None], end_date=["2020-01-01", "2020-02-01", None, None]
    )

    assert _assigned(file, "outcomes") == {"outcome_at": "end_date"}
