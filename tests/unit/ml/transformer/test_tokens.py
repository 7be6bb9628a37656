"""A row becomes one token per feature: bins of numbers, slots of categories, gaps."""

import numpy as np

from ml.transformer.tokens import TokenPlan
from tests.unit.ml.transformer.transformers import FEATURES, rows


def test_a_number_fills_its_bins_from_below_and_no_further() -> None:
    """Quantiles 0, 10 and 30: 20 is the whole first bin and half of the second."""
    plan = TokenPlan.from_rows(np.array([[0], [10], [30]], dtype=np.float32), ("income",), n_bins=2)

    codes, missing = plan.codes(np.array([[-5], [5], [20], [1e9], [np.nan]], dtype=np.float32))

    assert codes[:, 0].tolist() == [[0, 0], [0.5, 0], [1, 0.5], [1, 1], [0, 0]]
    assert missing[:, 0].tolist() == [0, 0, 0, 0, 1]


def test_the_columns_of_a_category_are_one_token() -> None:
    plan = TokenPlan.from_rows(rows(200, seed=0), FEATURES, n_bins=4)

    codes, missing = plan.codes(np.array([[1, 0, 0, 1, 0, 2], [1, *[np.nan] * 3, 0, 2]], dtype=np.float32))

    assert plan.first_column.tolist() == [0, 1, 4, 5]
    assert codes[:, 1].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert missing[:, 1].tolist() == [0, 1]


def test_the_typical_row_has_medians_the_most_frequent_category_and_the_usual_gap() -> None:
    matrix = rows(401, seed=0)
    plan = TokenPlan.from_rows(matrix, FEATURES, n_bins=4)

    assert plan.typical[0] in matrix[:, 0]
    assert abs(plan.typical[0] / np.nanmedian(matrix[:, 0]) - 1) < 0.05
    assert plan.typical[1:4].tolist() == [0, 1, 0]
    assert np.isnan(plan.typical[5])


def test_a_feature_that_never_varies_gets_no_token_and_keeps_its_place_in_the_typical_row() -> None:
    """Column by column: always 7, varying, never known, missing in one row."""
    matrix = np.array([[7, 1, np.nan, 5], [7, 2, np.nan, np.nan]], dtype=np.float32)

    plan = TokenPlan.from_rows(matrix, ("a", "b", "c", "d"), n_bins=4)

    assert plan.first_column.tolist() == [1, 3]
    assert plan.typical[0] == 7
    assert len(plan.typical) == 4


def test_a_column_that_is_never_known_or_always_the_same_has_no_bins() -> None:
    matrix = np.array([[np.nan, 7], [np.nan, 7]], dtype=np.float32)

    codes, _ = TokenPlan.from_rows(matrix, ("a", "b"), n_bins=4).codes(np.array([[3, 9]], dtype=np.float32))

    assert not codes.any()
