"""All violations of a body are listed, and only violations."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.decisions.problems import Violation
from serving.deployed.score_request import score_request_schema
from serving.http.problems import InvalidRequest
from warehouse.errors import ContractError
from warehouse.features.columns import InputColumn
from warehouse.features.contract import FeatureContract


def column(name: str, data_type: str, **rules: Any) -> InputColumn:
    return InputColumn(name, data_type, f"The {name}.", rules.pop("origin", "request"), **rules)


SCHEMA = score_request_schema(
    FeatureContract(
        version="v1",
        inputs=(
            column("requested_amount", "double", required=True, range=(1.0, 100_000.0), example=5_000),
            column("term_months", "integer", required=True, range=(1.0, 480.0), example=36),
            column("home_ownership", "varchar", values=("own", "mortgage", "rent")),
            column("region", "varchar"),
            column("income_verified", "boolean"),
            column("oldest_account_on", "date"),
            column("score", "double"),
            column("prior_defaults", "integer", origin="history"),
        ),
        features=(),
        sql="",
    )
)
GOOD = {"application_id": "a-1", "requested_amount": 5000, "term_months": 36}


def refused(body: object) -> tuple[Violation, ...]:
    with pytest.raises(InvalidRequest) as problem:
        SCHEMA.validate(body)
    return problem.value.violations


def test_left_out_fields_are_null_and_whole_numbers_become_doubles() -> None:
    values = SCHEMA.validate(GOOD)

    assert values["requested_amount"] == 5000.0
    assert isinstance(values["requested_amount"], float)
    assert values["region"] is None
    assert "prior_defaults" not in values, "history is looked up, never taken from the caller"


def test_what_is_nested_too_deeply_to_be_shown_is_named() -> None:
    """A body that could just be decoded led to 500 where it was to be shown."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]

    assert [error.found for error in refused(GOOD | {"region": nested})] == ["an array"]


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """JSON has one kind of number; the JSON Schema that is published says ``integer``, and 36.0 is one to it."""
    values = SCHEMA.validate(GOOD | {"term_months": 36.0})

    assert values["term_months"] == 36
    assert isinstance(values["term_months"], int)


def test_every_violation_is_listed_with_field_rule_and_value() -> None:
    violations = refused(
        {
            "requested_amount": 0,
            "term_months": 12.5,
            "home_ownership": "Own",
            "income_verified": "yes",
            "oldest_account_on": "2026-02-30",
            "requested_amont": 5,
        }
    )

    assert violations == (
        Violation("application_id", "is required: a text of 1 to 100 characters without control characters"),
        Violation("requested_amount", "must be a number from 1 to 100,000", 0),
        Violation("term_months", "must be a whole number from 1 to 480", 12.5),
        Violation("home_ownership", "must be one of own, mortgage, rent, or null", "Own"),
        Violation("income_verified", "must be true or false, or null", "yes"),
        Violation("oldest_account_on", "must be a date such as 2026-01-31, or null", "2026-02-30"),
        Violation("requested_amont", "is not a field of this request; did you mean requested_amount?", 5),
    )


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("requested_amount", None, None),
        ("requested_amount", True, True),
        ("requested_amount", "5000", "5000"),
        ("requested_amount", 10**400, "an integer of 1329 bits"),
        ("requested_amount", float("inf"), "Infinity"),
        ("score", float("inf"), "Infinity"),
        ("term_months", 36.5, 36.5),
        ("term_months", "36.0", "36.0"),
        ("term_months", 2**80, str(2**80)),
        ("application_id", "", ""),
        ("application_id", "a\n", "a\n"),
        ("application_id", "x" * 101, "x" * 100 + "…"),
        ("region", {"a": [1]}, '{"a": [1]}'),
        ("oldest_account_on", "2026-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("borrower_id", 7, 7),
        ("decided_at", 1_700_000_000, 1_700_000_000),
    ],
)
def test_a_value_of_another_type_is_refused_and_shown(field: str, value: object, found: object) -> None:
    """Nothing is converted on a guess: ``"5000"`` and ``true`` are not what they resemble."""
    (violation,) = refused(GOOD | {field: value})

    assert (violation.field, violation.found) == (field, found)


def test_of_very_many_unknown_fields_some_are_told_and_the_rest_counted() -> None:
    """Each is compared with every name: 150,000 of them kept all other requests waiting for 25 s."""
    violations = refused(GOOD | {f"annual_incom{n}": 1 for n in range(150_000)})

    assert len(violations) == 20
    assert violations[0].field == "annual_incom0"
    assert violations[-1] == Violation("annual_incom19", "is not a field of this request, nor are 149,980 more", 1)


@pytest.mark.parametrize("body", [None, [], "x", 5, True])
def test_a_body_that_is_not_an_object_is_refused(body: object) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        SCHEMA.validate(body)


def test_the_published_schema_says_the_same_as_the_checks() -> None:
    schema = SCHEMA.json_schema()

    assert schema["additionalProperties"] is False
    assert schema["required"] == ["application_id", "requested_amount", "term_months"]
    assert schema["properties"]["term_months"]["maximum"] == 480
    assert schema["examples"][0]["requested_amount"] == 5_000
    SCHEMA.validate(schema["examples"][0])


def test_an_input_type_that_json_cannot_carry_is_refused_when_the_model_is_loaded() -> None:
    contract = FeatureContract(version="v1", inputs=(column("photo", "blob"),), features=(), sql="")

    with pytest.raises(ContractError, match="photo has the type blob"):
        score_request_schema(contract)


texts = st.text("aé\n", max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(texts, scalars, max_size=2)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*SCHEMA.fields, "other"]), json_values), st.booleans())
def test_a_refusal_names_at_least_one_field_and_can_be_sent(body: dict[str, object], complete: bool) -> None:
    """The quick check and the list of violations agree, and no value breaks the answer that shows it."""
    try:
        violations = SCHEMA.validate(GOOD | body if complete else body) and ()
    except InvalidRequest as problem:
        violations = problem.violations
        json.loads(msgspec.json.encode(violations))
        expected = True
    else:
        expected = False

    assert bool(violations) is expected


@pytest.mark.parametrize("sent", ["1001", "1001.0", " 1001\t", "\u00a01001\u2003", "\ufeff1001"])
def test_an_id_has_the_form_that_it_has_in_files(sent: str) -> None:
    """Prevents a borrower whose file says 1001.0 from being a stranger to a request that says 1001."""
    values = SCHEMA.validate(GOOD | {"application_id": sent, "borrower_id": sent})

    assert (values["application_id"], values["borrower_id"]) == ("1001", "1001")


def test_two_spellings_that_look_alike_are_one() -> None:
    values = SCHEMA.validate(GOOD | {"borrower_id": "Ame\u0301lie", "region": " Zu\u0308rich"})

    assert (values["borrower_id"], values["region"]) == ("Am\u00e9lie", "Z\u00fcrich")


def test_a_null_word_is_no_id() -> None:
    """Strangers whose exports say NaN would share its history."""
    assert SCHEMA.validate(GOOD | {"borrower_id": "NaN"})["borrower_id"] is None
    assert [violation.field for violation in refused(GOOD | {"application_id": "null"})] == ["application_id"]


@pytest.mark.parametrize("sent", ["a\0b", "a\u200bb", "1.2E+15", "\ufb2c" * 50])
def test_an_id_that_no_file_could_hold_is_refused(sent: str) -> None:
    """The last is 50 characters, and 150 in the form that ids are compared in."""
    (violation,) = refused(GOOD | {"borrower_id": sent})

    assert violation.field == "borrower_id"


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("decided_at", "2024-03-01T10:00:00\0 America/New_York"),
        ("decided_at", "0224-03-01T10:00:00"),
        ("oldest_account_on", "0024-03-01"),
        ("oldest_account_on", "2924-03-01"),
    ],
)
def test_a_time_that_no_file_could_hold_is_refused(field: str, sent: str) -> None:
    """msgspec reads a time up to a NUL, and takes whatever follows."""
    (violation,) = refused(GOOD | {field: sent})

    assert (violation.field, violation.found) == (field, sent)


def test_what_a_field_means_and_what_it_may_hold_are_told_together() -> None:
    violations = refused(GOOD | {"borrower_id": "1.2E+15", "term_months": 0, "oldest_account_on": "0024-03-01"})

    assert [violation.field for violation in violations] == ["borrower_id", "term_months", "oldest_account_on"]
