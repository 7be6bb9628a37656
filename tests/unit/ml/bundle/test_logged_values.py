"""The decision log's JSON must read back without losing a bit, or a replay could not be equal."""

import json
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.bundle.logged_values import (
    ReasonCode,
    dump_features,
    dump_reasons,
    load_features,
    load_inputs,
    load_reasons,
    same_bits,
    same_bits_by_row,
)
from tests.model_factory import CONTRACT, input_rows
from warehouse.decision_log.json_text import dump_values


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_any_double_reads_back_to_the_bit(value):
    text = dump_values({"requested_amount": value})

    read = load_inputs(text, CONTRACT)["requested_amount"]

    assert same_bits(read, value)


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_the_text_is_strict_json(value):
    """Prevents a bare NaN or Infinity, which DuckDB and every browser refuse."""

    def refuse(token: str) -> None:
        raise AssertionError(token)

    json.loads(dump_features([value] * len(CONTRACT.features), CONTRACT), parse_constant=refuse)


def test_inputs_read_back_with_their_types():
    for row in input_rows(20):
        assert load_inputs(dump_values(row), CONTRACT) == row


def test_times_are_iso_text():
    text = dump_values({"decided_at": datetime(2024, 5, 6, 7, 8, 9), "oldest_account_on": date(2001, 2, 3)})

    assert text == '{"decided_at":"2024-05-06T07:08:09","oldest_account_on":"2001-02-03"}'


def test_features_are_an_object_by_name_in_contract_order():
    features = (1000.0, None, 36, "car", True, 120, 0, 0.125)

    text = dump_features(features, CONTRACT)

    assert list(json.loads(text)) == list(CONTRACT.feature_names)
    assert load_features(text, CONTRACT) == features


def test_reasons_read_back():
    reasons = [ReasonCode("loan_to_income", "The amount is high", 0.1 + 0.2)]

    assert load_reasons(dump_reasons(reasons)) == tuple(reasons)
    assert load_reasons(None) == ()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (0.3, 0.3, True),
        (0.1 + 0.2, 0.3, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        (1, 1.0, False),
        (1, True, False),
        (None, None, True),
        (None, 0.0, False),
        ("car", "car", True),
    ],
)
def test_same_bits(first, second, same):
    assert same_bits(first, second) is same


VALUES = st.sampled_from([None, 0.0, -0.0, 1.5, float("nan"), 0, 1, True, False, "car"])


@given(pairs=st.lists(st.tuples(VALUES, VALUES)), like=st.booleans())
def test_columns_are_compared_as_single_values_are(pairs, like):
    """Of one type, where a faster form compares, and mixed."""
    if like:
        pairs = [(first, second if type(first) is type(second) else first) for first, second in pairs]
    offline, online = [first for first, _ in pairs], [second for _, second in pairs]

    assert same_bits_by_row(offline, online).tolist() == [same_bits(*pair) for pair in pairs]
