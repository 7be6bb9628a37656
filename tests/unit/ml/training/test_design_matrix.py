"""Encoding by hand-written rows, and one row against many by property."""

import json
import math
from dataclasses import asdict

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.training.design_matrix import DesignMatrix, require_features
from tests.model_factory import CONTRACT
from warehouse.errors import ContractError

MATRIX = DesignMatrix.from_contract(CONTRACT)
NAMES = CONTRACT.feature_names
#: In contract order: amount, loan to income, term, purpose, verified, credit age, past due, cohort rate.
ROW = (5000.0, 0.25, 36, "debt_consolidation", True, 120, 0, 0.125)


def test_a_feature_becomes_a_number_and_a_category_one_column_for_each_value() -> None:
    encoded = MATRIX.encode_row(ROW)

    assert MATRIX.columns[3:6] == ("purpose=car", "purpose=debt_consolidation", "purpose=other")
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[5000.0, 0.25, 36.0, 0.0, 1.0, 0.0, 1.0, 120.0, 0.0, 0.125]]


def test_every_column_knows_its_feature_and_direction() -> None:
    assert MATRIX.feature_of_column[2:7] == ("term_months", "purpose", "purpose", "purpose", "income_verified")
    assert MATRIX.monotone_constraints == (0, 1, 0, 0, 0, 0, 0, -1, 1, 1)


def test_missing_is_nan_in_every_kind_of_column() -> None:
    assert np.isnan(MATRIX.encode_row([None] * len(NAMES))).all()


@pytest.mark.parametrize(
    ("feature", "value"),
    [("purpose", "yacht"), ("loan_to_income", math.inf), ("loan_to_income", -math.inf), ("loan_to_income", 1e39)],
)
def test_what_the_matrix_cannot_hold_counts_as_missing(feature: str, value: object) -> None:
    """XGBoost refuses infinite values: one of them in a batch would fail all the others."""
    row = dict(zip(NAMES, ROW, strict=True)) | {feature: value}

    of_feature = np.array(MATRIX.feature_of_column) == feature

    assert np.isnan(MATRIX.encode_row(list(row.values()))[0, of_feature]).all()
    assert np.isnan(MATRIX.encode(pd.DataFrame([row]))[0, of_feature]).all()


_NUMBER = st.none() | st.floats(allow_nan=True, allow_infinity=True)
_WHOLE = st.none() | st.integers(-(2**62), 2**62)
_ROWS = st.lists(
    st.tuples(
        _NUMBER,
        _NUMBER,
        _WHOLE,
        st.none() | st.sampled_from(["car", "debt_consolidation", "other", "yacht", ""]),
        st.none() | st.booleans(),
        _WHOLE,
        _WHOLE,
        _NUMBER,
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(_ROWS)
def test_one_row_is_encoded_as_among_many(rows: list[tuple[object, ...]]) -> None:
    """The request path and the training path must not differ by a bit, also where float32 rounds."""
    frame = pd.DataFrame(rows, columns=list(NAMES), dtype=object)

    together = MATRIX.encode(frame)

    alone = np.concatenate([MATRIX.encode_row(row) for row in rows])
    assert together.tobytes() == alone.tobytes()


@settings(deadline=None)
@given(_ROWS)
def test_arrow_is_encoded_as_its_rows_are_alone(rows: list[tuple[object, ...]]) -> None:
    """Rows of a table go from DuckDB to the model in Arrow: also infinities, and integers that float64 rounds."""
    kinds = [pa.float64(), pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.int64(), pa.int64(), pa.float64()]
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]

    together = MATRIX.encode_batch(pa.record_batch(columns, list(NAMES)))

    alone = np.concatenate([MATRIX.encode_row(row) for row in rows])
    assert np.nan_to_num(together).tobytes() == np.nan_to_num(alone).tobytes()
    np.testing.assert_array_equal(np.isnan(together), np.isnan(alone))


def test_arrow_of_narrow_types_is_encoded_alike() -> None:
    """A feature may be a float or an integer of 32 bits, and a batch longer than the blocks it is turned in."""
    values = {
        "requested_amount": pa.array([16_777_217.0, math.inf, None, -math.inf] * 1000, pa.float32()),
        "term_months": pa.array([16_777_217, None, -1, 0] * 1000, pa.int32()),
    }
    rest = {name: pa.nulls(4000, pa.string() if name == "purpose" else pa.float64()) for name in NAMES}

    encoded = MATRIX.encode_batch(pa.record_batch(rest | values))

    assert encoded[:, 0].tolist()[:1] == [16_777_216.0]
    assert np.isnan(encoded[:, 0]).tolist() == [False, True, True, True] * 1000
    np.testing.assert_array_equal(encoded[:4, 2], np.array([16_777_216, np.nan, -1, 0], np.float32))


def test_a_frame_is_encoded_alike_whatever_types_carry_its_values() -> None:
    """Rows come as float64 from the training set, and with nullable types from pandas or Arrow."""
    rows = [ROW, (None, 1.5, None, None, None, None, 2, None)]
    plain = pd.DataFrame(rows, columns=list(NAMES), dtype=object)
    nullable = plain.astype(
        {
            "requested_amount": "Float64",
            "term_months": "Int32",
            "purpose": pd.CategoricalDtype(["other", "debt_consolidation"]),
            "income_verified": "boolean",
            "credit_age_months": "float64",
        }
    )

    np.testing.assert_array_equal(MATRIX.encode(nullable), MATRIX.encode(plain))


def test_an_excluded_feature_leaves_the_matrix_but_not_the_feature_vector() -> None:
    """The online side computes all features of the contract; a model without some reads the same vector."""
    without = DesignMatrix.from_contract(CONTRACT, exclude=["requested_amount", "purpose"])

    assert without.feature_names == NAMES[1:3] + NAMES[4:]
    assert without.encode_row(ROW).tolist() == [[0.25, 36.0, 1.0, 120.0, 0.0, 0.125]]


def test_json_carries_the_whole_of_it() -> None:
    assert msgspec.convert(json.loads(json.dumps(asdict(MATRIX))), DesignMatrix) == MATRIX


def test_excluding_an_unknown_feature_is_refused() -> None:
    """A misspelt exclusion would quietly train on what was to be left out."""
    with pytest.raises(ContractError, match=r"found annual_rat; it has requested_amount"):
        DesignMatrix.from_contract(CONTRACT, exclude=["annual_rat"])


def test_a_family_among_the_features_to_exclude_is_called_one() -> None:
    with pytest.raises(ContractError, match=r"found catboost, a family of models; it has requested_amount, "):
        require_features(CONTRACT, ["catboost"])


def test_excluding_every_feature_is_refused() -> None:
    with pytest.raises(ContractError, match="all 8 are excluded"):
        DesignMatrix.from_contract(CONTRACT, exclude=NAMES)


def test_a_frame_without_a_feature_is_refused_by_name() -> None:
    frame = pd.DataFrame([ROW], columns=list(NAMES)).drop(columns=["purpose", "term_months"])

    with pytest.raises(ContractError, match=r"it lacks 2 of 8 \(term_months, purpose\)"):
        MATRIX.encode(frame)


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ContractError, match="must have 8 values, one for each feature: found 7"):
        MATRIX.encode_row(ROW[1:])
