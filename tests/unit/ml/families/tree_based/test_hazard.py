"""Censored loans with a known hazard give back its order and level; a model that forgets their times does not."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.families.protocol import Sample, StreamedSample
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.families.tree_based.hazard import Baseline, ProportionalHazards
from ml.judging.metrics import roc_auc
from warehouse.errors import SettingError

FAST = {"max_trees": 150, "learning_rate": 0.08, "max_depth": 3, "patience": 15, "threads": 1}
HAZARD, TREES = ProportionalHazards(**FAST), GradientBoosting(**FAST)
#: Of the cumulative hazard level * t ** shape * exp(risk).
LEVEL, SHAPE, N, N_MATURE = 0.15, 1.3, 6000, 1000
FREE = (0, 0, 0)


def drawn(n: int, follow: np.ndarray | float, *, seed: int) -> tuple[Sample, np.ndarray]:
    """Loans followed for this number of windows, and the true probability that each defaults within one."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n, 3)).astype(np.float32)
    risk = 0.8 * matrix[:, 0] + 0.5 * np.abs(matrix[:, 1]) - 0.4
    default_at = (random.exponential(size=n) / np.exp(risk) / LEVEL) ** (1 / SHAPE)
    until = np.broadcast_to(follow, n)
    defaulted = default_at <= until
    truth = 1 - np.exp(-LEVEL * np.exp(risk))
    return Sample(matrix, defaulted, observed=np.where(defaulted, default_at, until)), truth


def follow_of_young_book() -> np.ndarray:
    """A thousand mature loans, and five thousand of any age below a window."""
    return np.r_[np.ones(N_MATURE), np.random.default_rng(3).random(N - N_MATURE)]


def within_window(raw: np.ndarray) -> np.ndarray:
    return 1 - np.exp(-np.exp(raw.astype(np.float64)))


@pytest.fixture(scope="module")
def book() -> Sample:
    return drawn(N, follow_of_young_book(), seed=1)[0]


@pytest.fixture(scope="module")
def tune() -> Sample:
    return drawn(1500, 1.0, seed=2)[0]


@pytest.fixture(scope="module")
def raw_scores(book: Sample, tune: Sample) -> np.ndarray:
    """Of the loans of :func:`later`."""
    return HAZARD.fit(book, tune, FREE).raw_scores(later()[0].matrix)


def later() -> tuple[Sample, np.ndarray]:
    return drawn(20_000, 1.0, seed=4)


def test_open_loans_give_back_the_level_of_the_risk(raw_scores: np.ndarray) -> None:
    _, truth = later()

    assert within_window(raw_scores).mean() == pytest.approx(truth.mean(), abs=0.01)
    riskiest = np.argsort(raw_scores)[-2000:]
    assert within_window(raw_scores)[riskiest].mean() == pytest.approx(truth[riskiest].mean(), rel=0.1)


def test_open_loans_give_back_its_order_better_than_mature_loans_alone(
    raw_scores: np.ndarray, book: Sample, tune: Sample
) -> None:
    rows, truth = later()
    mature = TREES.fit(Sample(book.matrix[:N_MATURE], book.defaulted[:N_MATURE]), tune, FREE)

    ours, theirs = (roc_auc(rows.defaulted, raw).value for raw in (raw_scores, mature.raw_scores(rows.matrix)))

    assert roc_auc(rows.defaulted, truth).value - 0.02 < ours
    assert ours > theirs + 0.004


@pytest.mark.parametrize(("naive", "expected"), [("open loans are good", 0.6), ("open defaults alone", 1.6)])
def test_models_that_forget_the_time_are_biased(naive: str, expected: float, book: Sample, tune: Sample) -> None:
    """What the two shortcuts would do: shows that the level above is not given by the data alone."""
    _, truth = later()
    kept = np.ones(N, dtype=bool) if naive == "open loans are good" else (np.arange(N) < N_MATURE) | book.defaulted
    model = TREES.fit(Sample(book.matrix[kept], book.defaulted[kept]), tune, FREE)

    mean = 1 / (1 + np.exp(-model.raw_scores(later()[0].matrix)))

    assert mean.mean() / truth.mean() < expected if expected < 1 else mean.mean() / truth.mean() > expected


def test_the_baseline_is_counted_by_hand() -> None:
    """Of four at risk one defaults at a quarter; one leaves at a half; of the two that stay one defaults at the end."""
    rows = Sample(np.zeros((4, 1)), np.array([True, False, True, False]), observed=np.array([0.25, 0.5, 1.0, 1.0]))

    weighted = replace(rows, weights=np.array([2.0, 1.0, 0.5, 0.5]))

    np.testing.assert_allclose(Baseline.of(rows).at(np.array([0.1, 0.25, 0.9, 1.0])), [1e-9, 0.25, 0.25, 0.75])
    np.testing.assert_allclose(Baseline.of(weighted).at(np.array([0.25, 1.0])), [0.5, 1.0])


@given(times=st.lists(st.floats(0, 3), min_size=1, max_size=40), seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_the_baseline_rises_and_is_the_product_limit_of_the_grid(times: list[float], seed: int) -> None:
    """Beside the estimate written as a loop over the cells of the grid."""
    observed = np.array(times)
    defaulted = np.random.default_rng(seed).random(len(times)) < 0.5
    cells = [math.ceil(round(time * 120, 6)) for time in times]

    baseline = Baseline.of(Sample(np.zeros((len(times), 1)), defaulted, observed=observed))

    total = 0.0
    for cell in range(max(cells) + 1):
        at_risk = sum(each >= cell for each in cells)
        total += sum(each == cell and bad for each, bad in zip(cells, defaulted, strict=True)) / at_risk
        assert baseline.hazard[cell] == pytest.approx(total)


def with_new_product(seed: int) -> Sample:
    """Two years of loans: risk falls after the first, and the riskier product is sold in the second only."""
    random = np.random.default_rng(seed)
    vintage = np.arange(N) * 24 // N
    is_new_product = (vintage >= 12) & (random.random(N) < 0.4)
    matrix = np.c_[random.normal(size=(N, 2)), is_new_product].astype(np.float32)
    risk = 0.7 * is_new_product - 1.5 * (vintage >= 12)
    default_at = random.exponential(size=N) / np.exp(risk) / 0.9
    until = np.minimum((24 - vintage) / 12, 1.0)
    return Sample(matrix, default_at <= until, observed=np.minimum(default_at, until), vintage=vintage)


def test_what_only_new_loans_have_is_compared_with_new_loans() -> None:
    """Prevents a riskier new product from looking safe because risk has fallen since the older loans."""
    steps = []

    for months in (0, 6):
        model = replace(HAZARD, vintage_months=months).fit(with_new_product(8), with_new_product(9), FREE)
        none, new = model.raw_scores(np.array([[0, 0, 0], [0, 0, 1]], dtype=np.float32))
        steps.append(float(new - none))

    assert steps[0] < -0.05 < 0.05 < steps[1]


def test_loans_are_followed_for_most_windows_at_most(tune: Sample) -> None:
    """A default after it is none by then, and changes nothing but that the loan was good until then."""
    observed = np.where(np.arange(2000) < 100, 1.5, 2.0)
    matrix = drawn(2000, 1.0, seed=5)[0].matrix
    late = Sample(matrix, np.arange(2000) < 200, observed=observed)
    cut = Sample(matrix, np.zeros(2000, dtype=bool), observed=np.minimum(observed, 1.2))
    some = {"defaulted": np.arange(2000) % 10 == 0}
    family = ProportionalHazards(**FAST, most_windows=1.2)

    short = replace(cut, **some, observed=np.full(2000, 0.5))
    assert family._followed(late).defaulted.sum() == 0
    np.testing.assert_array_equal(family._followed(late).observed, cut.observed)
    assert family._followed(short).defaulted.sum() == 200


def test_a_sample_without_times_was_observed_for_its_whole_window(tune: Sample) -> None:
    """Where every loan is mature, the family is a plain model of the label."""
    whole = drawn(2000, 1.0, seed=6)[0]
    plain = Sample(whole.matrix, whole.defaulted)

    bytes_of = [
        HAZARD.fit(rows, Sample(tune.matrix, tune.defaulted), FREE).to_bytes()
        for rows in (plain, replace(plain, observed=np.ones(2000)))
    ]

    assert bytes_of[0] == bytes_of[1]


def test_rows_on_disk_give_the_same_model(book: Sample, tune: Sample, tmp_path: Path) -> None:
    """The times of a batch must be those of its rows."""
    import pandas as pd

    book = replace(book, vintage=np.arange(N) * 24 // N)
    streamed = StreamedSample(
        pd.DataFrame(book.matrix),
        lambda part: part.to_numpy(np.float32),
        book.defaulted,
        tmp_path,
        2500,
        observed=book.observed,
        vintage=book.vintage,
    )

    one, other = (HAZARD.fit(rows, tune, FREE).raw_scores(tune.matrix) for rows in (book, streamed))

    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_setting_out_of_range_is_refused() -> None:
    with pytest.raises(SettingError, match=r"most_windows must be at least 1: found 0\.5"):
        ProportionalHazards(most_windows=0.5)
    with pytest.raises(SettingError, match="vintage_months must be at least 0: found -1"):
        ProportionalHazards(vintage_months=-1)
