"""The ONNX twin against the booster it was built from."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml.trees.forest import Forest
from ml.trees.onnx_twin import OneRow, open_session, raw_scores, to_onnx
from warehouse.errors import BundleError

N_COLUMNS = 8


def _train(**parameters: object) -> xgboost.Booster:
    random = np.random.default_rng(3)
    columns = random.normal(size=(4000, N_COLUMNS)).astype(np.float32)
    columns[random.random(columns.shape) < 0.15] = np.nan
    columns[:, 5] = random.integers(0, 3, 4000)
    log_odds = np.nan_to_num(columns[:, 0]) + columns[:, 5] - 2.5
    target = random.random(4000) < 1 / (1 + np.exp(-log_odds))
    settings = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.2, "nthread": 1, **parameters}
    return xgboost.train(settings, xgboost.DMatrix(columns, target), 60)


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    return _train()


@pytest.fixture(scope="module")
def session(booster):
    return open_session(to_onnx(Forest.from_booster(booster)))


def test_a_row_alone_has_the_same_bits_in_any_thread(booster, session):
    rows, one_row = _hostile_rows(booster, 400), OneRow(session)

    with ThreadPoolExecutor(4) as threads:
        alone = np.concatenate(list(threads.map(one_row.raw_scores, np.split(rows, len(rows)))))

    assert alone.tobytes() == raw_scores(session, rows).tobytes()


def _margins(booster: xgboost.Booster, rows: np.ndarray) -> np.ndarray:
    return booster.inplace_predict(rows, predict_type="margin")


def _hostile_rows(booster: xgboost.Booster, n: int) -> np.ndarray:
    """Ordinary values, missing ones, the extremes of float32, and values exactly on thresholds."""
    random = np.random.default_rng(4)
    thresholds = np.concatenate([tree.threshold[tree.left >= 0] for tree in Forest.from_booster(booster).trees])
    extremes = np.array([np.nan, 3.4e38, -3.4e38, 0.0, -0.0, 1e-40], dtype=np.float32)
    kind = random.integers(0, 3, (n, N_COLUMNS))
    ordinary = random.normal(size=kind.shape)
    return np.choose(
        kind, [ordinary, random.choice(extremes, kind.shape), random.choice(thresholds, kind.shape)]
    ).astype(np.float32)


def test_every_row_scores_as_the_booster_does_to_the_bit(booster, session):
    rows = _hostile_rows(booster, 12_000)

    scores = raw_scores(session, rows)

    assert np.isnan(rows).any()
    assert scores.tobytes() == _margins(booster, rows).tobytes()


def test_a_row_has_the_same_bits_alone_and_in_any_batch(booster, session):
    rows = _hostile_rows(booster, 700)

    together = raw_scores(session, rows)
    alone = np.concatenate([raw_scores(session, rows[number : number + 1]) for number in range(len(rows))])
    by_64 = np.concatenate([raw_scores(session, rows[start : start + 64]) for start in range(0, len(rows), 64)])

    assert alone.tobytes() == together.tobytes() == by_64.tobytes()


@settings(max_examples=200, deadline=None)
@given(rows=arrays(np.float32, (3, N_COLUMNS), elements=st.floats(width=32, allow_infinity=False, allow_nan=True)))
def test_any_finite_or_missing_value_scores_equal(booster, session, rows):
    assert raw_scores(session, rows).tobytes() == _margins(booster, rows).tobytes()


@settings(max_examples=30, deadline=None)
@given(base_score=st.floats(0.005, 0.995))
def test_the_base_score_is_part_of_the_sum(base_score):
    """Prevents a twin that is right for one default rate only: the base score is the first term of a float32 sum."""
    rows = np.linspace(-1, 1, 40, dtype=np.float32).reshape(-1, 2)
    data = xgboost.DMatrix(rows, rows[:, 0] > 0.3)
    parameters = {"objective": "binary:logistic", "max_depth": 1, "base_score": base_score, "nthread": 1}
    booster = xgboost.train(parameters, data, 2)

    scores = raw_scores(open_session(to_onnx(Forest.from_booster(booster))), rows)

    assert scores.tobytes() == _margins(booster, rows).tobytes()


def test_a_booster_cut_to_its_best_trees_keeps_only_those(booster):
    cut = booster[:7]
    rows = _hostile_rows(booster, 200)

    forest = Forest.from_booster(cut)

    assert len(forest.trees) == 7
    assert raw_scores(open_session(to_onnx(forest)), rows).tobytes() == _margins(cut, rows).tobytes()


def test_a_booster_that_is_no_plain_sum_is_refused():
    with pytest.raises(BundleError, match="found dart with binary:logistic"):
        Forest.from_booster(_train(booster="dart"))
