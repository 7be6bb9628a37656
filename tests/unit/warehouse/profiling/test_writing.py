"""The files that a proposal becomes. The guide's own files are compared in tests/integration."""

from pathlib import Path

import pytest
import yaml

from tests.unit.warehouse.profiling.columns_of_text import profile_of
from warehouse.errors import SettingError
from warehouse.profiling.answers import Answers
from warehouse.profiling.profile import FileProfile
from warehouse.profiling.proposal import propose
from warehouse.profiling.writing import with_lender, written
from warehouse.settings import DBT_PROJECT_DIR

STAGING = Path("models/staging/mybank")


def _written(*files: FileProfile, answers: Answers | None = None) -> dict[str, str]:
    proposal, questions = propose("mybank", files, answers or Answers())
    assert questions == ()
    assert proposal is not None
    found = written(proposal, title="My Bank", lag_months=2, files={})
    return {path.name: text for path, text in found.items()}


def _flagged() -> FileProfile:
    return profile_of(
        "loans",
        loan_id=["1", "2"],
        issue_date=["2020-01-31", "2020-02-01"],
        amount=["5000", "6000"],
        term=["12", "24"],
        email=["a@example.org", "b@example.org"],
        default=["0", "1"],
    )


def test_an_outcome_without_a_date_is_known_at_the_end_of_the_planned_life() -> None:
    sql = _written(_flagged())["stg_mybank__outcomes.sql"]

    assert "{{ months_later('cast(decided_on as timestamp)', 'term_months') }} as term_ends_at" in sql
    assert "max(cast(decided_on as timestamp)) over () as written_at" in sql
    assert "where term_ends_at <= written_at\n" in sql


def test_outcomes_in_a_file_of_their_own_end_with_the_life_of_their_loans() -> None:
    loans = profile_of(
        "loans", loan_id=["1", "2"], issue_date=["2020-01-31", "2020-02-01"], amount=["5000", "6000"], term=["12", "24"]
    )
    ends = profile_of("ends", loan_id=["1", "2"], status=["written off", "running"])

    sql = _written(loans, ends)["stg_mybank__outcomes.sql"]

    assert "inner join loans on loans.decided_id = outcomes.loan_id" in sql
    assert "where term_ends_at <= written_at and status <> 'running'\n" in sql


def test_loans_without_a_planned_life_have_a_window_instead() -> None:
    """A dated loan with neither never has a label."""
    columns = {"loan_id": ["1", "2"], "issue_date": ["2020-01-31", "2020-02-01"], "amount": ["5000", "6000"]}
    ended = profile_of("loans", **columns, status=["paid", "charged off"], closed_on=["2021-01-31", "2021-05-01"])
    answers = Answers(column={"term_months": "none"}, window_months=9)

    found = yaml.safe_load(_written(ended, answers=answers)["mybank.yml"])

    assert found["label"] == {"window_months": 9, "window_lag_months": 2}
    assert found["request"] == {"optional": ["term_months"]}
    _, (question,) = propose("mybank", [ended], Answers(column={"term_months": "none"}))
    assert "--window-months says within which time after the decision a default counts" in question.text
    with pytest.raises(SettingError, match=r"its day \(--column outcome_at=\) or the loan's planned life"):
        propose("mybank", [profile_of("loans", **columns, status=["paid", "charged off"])], answers)


def test_rates_above_a_hundred_percent_widen_the_lenders_limit() -> None:
    file = profile_of(
        "loans",
        loan_id=["1", "2", "3"],
        issue_date=["2020-01-31", "2020-02-01", "2020-03-01"],
        amount=["500", "600", "300"],
        term_days=["14", "28", "14"],
        apr=["391%", "260.5%", "420%"],
        default=["0", "1", "0"],
    )

    found = _written(file)

    assert yaml.safe_load(found["mybank.yml"])["limits"] == {"annual_rate": [0, 5]}
    assert "{'name': 'annual_rate', 'from': 'apr', 'format': 'percent', 'min': 0, 'max': 5}" in found["mybank.sql"]


def test_a_loan_without_an_outcome_runs_and_is_not_set_aside() -> None:
    file = profile_of(
        "loans",
        loan_id=["1", "2", "3"],
        issue_date=["2020-01-31", "2020-02-01", "2020-03-01"],
        amount=["500", "600", "300"],
        term=["12", "12", "12"],
        purpose=["car", "NA", "car"],
        status=["paid", "charged off", None],
        closed_on=["2021-01-31", "2020-09-01", None],
    )

    found = _written(file)

    assert "where status is not null and closed_on is not null\n" in found["stg_mybank__outcomes.sql"]
    assert (
        "{'name': 'status', 'format': 'text', 'values': {'charged off': 'default', 'paid': 'repaid'}}"
        in (found["mybank.sql"])
    )
    # of listed values, staging takes NA for one that is not listed
    assert "'missing': ['NA']" in found["mybank.sql"]


def test_a_word_of_sql_is_no_column() -> None:
    """A column called ``default`` would be read as SQL's own word."""
    found = _written(_flagged())

    assert "{'name': 'outcome', 'from': 'default', 'format': 'text', 'required': true" in found["mybank.sql"]
    assert "outcome = 'default' as is_default" in found["stg_mybank__outcomes.sql"]


def test_a_personal_column_is_declared_and_not_read() -> None:
    found = _written(_flagged())

    (table,) = yaml.safe_load(found["stg_mybank.yml"])["sources"][0]["tables"]
    assert table["config"]["meta"]["personal"] == ["email"]
    assert "'email'" not in found["mybank.sql"]
    assert "no contract has, and no model reads:\n    email\n" in found["mybank.sql"]


def test_a_loan_without_a_borrower_is_its_own() -> None:
    found = _written(_flagged())

    (table,) = yaml.safe_load(found["stg_mybank.yml"])["sources"][0]["tables"]
    assert table["config"]["meta"]["identifies"] == {"loan_id": {"application": "mybank-", "borrower": "mybank-"}}
    assert "'mybank-' || loan_id as borrower_id" in found["stg_mybank__applications.sql"]


def test_a_file_without_dates_is_known_when_it_is_loaded() -> None:
    file = profile_of("loans", amount=["5000", "6000", "6000"], income=["100", "200", "100"], default=["0", "1", "0"])

    found = _written(file)

    assert yaml.safe_load(found["mybank.yml"]) == {
        "title": "My Bank",
        "dates": "none",
        "request": {"optional": ["term_months"]},
    }
    assert "request: {optional: [term_months]}" in found["mybank.yml"]
    assert "identifies: {}" in found["stg_mybank.yml"]
    assert "_loaded_at as decided_at" in found["stg_mybank__applications.sql"]
    assert (
        "'mybank-' || _file || '-' || cast(_line as {{ dbt.type_string() }}) as application_id"
        in (found["stg_mybank__applications.sql"])
    )
    assert "'term_months'" in found["stg_mybank__applications.sql"].split("lacks=")[1]
    assert "_loaded_at as outcome_at" in found["stg_mybank__outcomes.sql"]


def test_a_kind_of_file_called_as_a_contract_does_not_take_its_models_name() -> None:
    file = profile_of(
        "applications",
        loan_id=["1", "2"],
        issue_date=["2020-01-31", "2020-02-01"],
        amount=["5000", "6000"],
        term=["12", "24"],
        default=["0", "1"],
    )

    found = _written(file)

    assert "typed_rows(" in found["stg_mybank__applications_file.sql"]
    assert "ref('stg_mybank__applications_file')" in found["stg_mybank__applications.sql"]


def test_quotes_in_a_files_values_stay_values() -> None:
    values: list[str | None] = ["it's paid", 'written "off"']
    file = profile_of(
        "loans",
        loan_id=["1", "2"],
        issue_date=["2020-01-31", "2020-02-01"],
        amount=["5000", "6000"],
        term=["12", "24"],
        status=values,
    )

    macro = _written(file, answers=Answers(outcome={'written "off"': "default"}))["mybank.sql"]

    assert "\"it's paid\": 'repaid'" in macro
    assert "'written \"off\"': 'default'" in macro


def test_a_value_of_a_long_list_stays_on_one_line() -> None:
    """A line's end within it would be part of the text: no row of the file would have it."""
    purposes = ["debt consolidation", "home improvement", "small business - retail", "wedding", "car"]
    file = profile_of(
        "loans",
        loan_id=[*"12345"],
        issue_date=["2020-01-31"] * 5,
        amount=["5000"] * 5,
        term=["12"] * 5,
        purpose=[*purposes],
        status=["paid", "charged off", "paid", "paid", "paid"],
    )

    macro = _written(file)["mybank.sql"]

    assert "'values': {\n" in macro
    assert [purpose for purpose in purposes if f"'{purpose}': '" not in macro] == []


def test_the_projects_file_keeps_its_comments_and_has_the_lender_once() -> None:
    before = (DBT_PROJECT_DIR / "dbt_project.yml").read_text()

    after = with_lender(with_lender(before, "mybank", ["applications"]), "mybank", ["applications", "outcomes"])

    assert after.replace("    mybank: [applications, outcomes]\n", "") == before
    assert yaml.safe_load(after)["vars"]["lenders"]["mybank"] == ["applications", "outcomes"]


def test_a_projects_file_without_lenders_is_refused() -> None:
    with pytest.raises(SettingError, match="must have a list of lenders"):
        with_lender("vars: {}\n", "mybank", ["applications"])


def _of_own_columns(*own: str) -> dict[str, str]:
    loans = profile_of(
        "loans",
        loan_id=["1", "2", "3"],
        customer=["7", "8", "9"],
        issue_date=["2020-01-31", "2020-02-01", "2020-02-02"],
        amount=["5000", "6000", "7000"],
        term=["12", "24", "12"],
        property_value=["90000.50", "81000", "-20"],
        grade_text=["low", "high", "NA"],
        has_car=["yes", "no", "yes"],
        deposit=["16.2%", "7%", "19.4%"],
        first_name=["Anna", "Ben", "Anna"],
        signed=["2020-01-30", "2020-01-31", "2020-02-01"],
        default=["0", "1", "0"],
    )
    statements = profile_of(
        "statements",
        customer=["7", "7"],
        statement_date=["2020-01-31", "2020-02-29"],
        balance=["10", "12"],
        returned_payments=["0", "12"],
    )
    answers = Answers(
        own=own,
        column={"borrower_id": "customer", "decided_at": "issue_date", "outcome_at": "none"},
        file={"loans": "applications", "statements": "statements"},
    )
    return _written(loans, statements, answers=answers)


def test_chosen_columns_are_typed_as_they_are_found_and_travel_to_the_features() -> None:
    files = _of_own_columns("property_value", "grade_text", "has_car", "returned_payments")

    inputs, features = (
        {column["name"]: column for column in model["columns"]}
        for model in yaml.safe_load(files["ftr_mybank.yml"])["models"]
        if model["name"] in ("ftr_application_inputs_mybank", "ftr_application_v2_mybank")
    )
    assert {name: column["data_type"] for name, column in inputs.items()} == {
        "property_value": "double",
        "grade_text": "varchar",
        "has_car": "boolean",
        "latest_returned_payments": "integer",
    }
    meta = {name: column["config"]["meta"] for name, column in inputs.items()}
    assert meta["property_value"]["range"] == [-1_000_000, 1_000_000]
    assert (meta["grade_text"]["values"], meta["latest_returned_payments"]["range"]) == (["high", "low"], [0, 1_000])
    assert [meta[name]["origin"] for name in ("has_car", "latest_returned_payments")] == ["request", "history"]
    assert features["property_value"]["config"]["meta"]["reason"] == "The property value"
    assert "'missing': ['NA']" in files["mybank.sql"]
    assert "latest('statements.returned_payments'" in files["history_of_mybank.sql"]
    assert (
        "features_of([features_since_1(), features_since_2(), features_of_mybank()])"
        in (files["ftr_application_v2_mybank.sql"])
    )
    assert files["stg_mybank__applications.sql"].endswith(
        ") }},\n    property_value,\n    grade_text,\n    has_car\nfrom renamed\n"
    )


def test_a_percentage_has_the_range_and_the_example_of_a_fraction_as_it_is_typed() -> None:
    """A caller who copies 16.2 from the schema would be scored with 1,620 %."""
    [inputs] = [
        model
        for model in yaml.safe_load(_of_own_columns("deposit")["ftr_mybank.yml"])["models"]
        if model["name"] == "ftr_application_inputs_mybank"
    ]
    meta = inputs["columns"][0]["config"]["meta"]

    assert (meta["range"], meta["example"]) == ([0, 10], 0.162)


def test_without_a_chosen_column_nothing_is_extended() -> None:
    files = _of_own_columns()

    assert [name for name in files if not name.startswith("stg_")] == ["mybank.sql", "mybank.yml"]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("signed", r"--own signed must have numbers or a few texts: found dates \(2020-01-3"),
        ("amount", r"--own must be a column that has no meaning yet: found amount; --column requested_amount=none"),
        ("first_name", r"--own first_name must not name a person, of whom no model may learn: found a name"),
        ("propertyvalue", r"--own must be a column of the files, .*: found propertyvalue"),
    ],
)
def test_a_column_that_no_model_can_learn_from_is_refused(own: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        _of_own_columns(own)


def test_an_own_column_that_can_be_read_in_two_ways_is_asked_about() -> None:
    loans = profile_of(
        "loans",
        loan_id=["1", "2"],
        issue_date=["2020-01-31", "2020-02-01"],
        amount=["5000", "6000"],
        term=["12", "24"],
        worth=["90.000", "81.000"],
        default=["0", "1"],
    )

    _, questions = propose("mybank", [loans], Answers(own=("worth",)))
    read = _written(loans, answers=Answers(own=("worth",), read={"worth.decimal": ","}))

    assert [question.flag for question in questions] == ["--read worth.thousands="]
    assert "'decimal': ','" in read["mybank.sql"]


def test_a_name_that_a_shared_column_has_is_not_taken_twice() -> None:
    """latest_utilisation is a shared feature: what the statements say of it gets a name of its own."""
    loans, statements = (
        profile_of(
            "loans", loan_id=["1", "2"], client=["7", "8"], issue_date=["2020-01-31", "2020-02-01"],
            amount=["5000", "6000"], term=["12", "24"], default=["0", "1"],
        ),
        profile_of(
            "statements", client=["7", "7"], statement_date=["2020-01-31", "2020-02-29"], utilisation=["1", "2"]
        ),
    )  # fmt: skip
    answers = Answers(
        own=("utilisation",),
        column={"borrower_id": "client"},
        file={"loans": "applications", "statements": "statements"},
    )

    files = _written(loans, statements, answers=answers)

    assert "as latest_own_utilisation" in files["history_of_mybank.sql"]
