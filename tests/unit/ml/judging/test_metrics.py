"""Figures against hand computation, scikit-learn, scipy, the bootstrap, and their own degenerate cases."""

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, ttest_rel

from ml.judging import metrics
from ml.judging.metrics import (
    auc_difference,
    brier,
    brier_difference,
    brier_parts,
    ece,
    ece_by_chance,
    h_measure,
    measure,
    measured_split,
    reliability,
    roc_auc,
)

Y = [False, True, False, True, False]
P = [0.1, 0.3, 0.3, 0.8, 0.2]


@st.composite
def _loans(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two to sixty loans with both outcomes, probabilities with many ties."""
    n = draw(st.integers(2, 60))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    y[:2] = [True, False]
    p = np.array(draw(st.lists(st.integers(0, 12).map(lambda step: step / 12), min_size=n, max_size=n)))
    return y, p


def _simulated(n: int, *, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, the probabilities they were drawn from, and a noisier model of them."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-1.5, 1.0, n)
    p = 1 / (1 + np.exp(-log_odds))
    return random.random(n) < p, p, 1 / (1 + np.exp(-(log_odds + random.normal(0, noise, n))))


def test_auc_counts_pairs_and_halves_ties() -> None:
    """Pairs: 0.3 beats 0.1 and 0.2 and ties 0.3, 0.8 beats three: 5.5 of 6."""
    assert roc_auc(Y, P).value == pytest.approx(5.5 / 6)


def test_delong_by_hand() -> None:
    """Placements of the two defaults 5/6 and 1, of the three good 1, 3/4 and 1: variance (1/72)/2 + (1/48)/3."""
    assert roc_auc(Y, P).standard_error == pytest.approx(math.sqrt((1 / 72) / 2 + (1 / 48) / 3))


# scipy warns of the p-value of a handful of loans; only its statistic is compared
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None)
@given(_loans())
def test_figures_agree_with_scikit_learn_and_scipy(loans: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = loans

    found = measure(y, p, cut_off=0.5)

    assert found.auc == pytest.approx(sklearn.metrics.roc_auc_score(y, p), abs=1e-12)
    assert found.gini == pytest.approx(2 * sklearn.metrics.roc_auc_score(y, p) - 1, abs=1e-12)
    assert found.brier == pytest.approx(sklearn.metrics.brier_score_loss(y, p), abs=1e-12)
    assert found.ks == pytest.approx(ks_2samp(p[y], p[~y], method="asymp").statistic, abs=1e-12)
    declined = p >= 0.5
    cells = (found.true_negatives, found.false_positives, found.false_negatives, found.true_positives)
    assert cells == tuple(sklearn.metrics.confusion_matrix(y, declined, labels=[False, True]).ravel())
    assert found.recall == pytest.approx(sklearn.metrics.recall_score(y, declined))
    assert found.f1 == pytest.approx(sklearn.metrics.f1_score(y, declined, zero_division=0))
    if declined.any():
        assert found.precision == pytest.approx(sklearn.metrics.precision_score(y, declined))


@settings(deadline=None)
@given(_loans())
def test_log_loss_agrees_with_scikit_learn(loans: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = loans
    p = np.clip(p, 0.001, 0.999)

    assert metrics.log_loss(y, p) == pytest.approx(sklearn.metrics.log_loss(y, p, labels=[False, True]), abs=1e-12)


def test_delong_interval_agrees_with_the_bootstrap() -> None:
    y, p, _ = _simulated(2000, seed=11)
    random = np.random.default_rng(0)

    draws = [roc_auc(y[index], p[index]).value for index in (random.integers(0, 2000, 2000) for _ in range(400))]

    assert roc_auc(y, p).standard_error == pytest.approx(np.std(draws), rel=0.12)


def test_paired_difference_agrees_with_the_bootstrap() -> None:
    """The pairing is the point: unpaired, the standard error would be more than twice as large."""
    y, p, q = _simulated(2000, seed=12, noise=0.5)
    random = np.random.default_rng(0)
    draws = []
    for _ in range(400):
        index = random.integers(0, 2000, 2000)
        draws.append(roc_auc(y[index], p[index]).value - roc_auc(y[index], q[index]).value)

    difference = auc_difference(y, p, q)

    assert difference.value == pytest.approx(roc_auc(y, p).value - roc_auc(y, q).value)
    assert difference.standard_error == pytest.approx(np.std(draws), rel=0.12)
    assert difference.standard_error < math.hypot(roc_auc(y, p).standard_error, roc_auc(y, q).standard_error) / 2


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Scores of bad and good loans one standard deviation apart: the true AUC is Φ(1/√2) = 0.7602."""
    random = np.random.default_rng(2)
    y = np.arange(300) < 60
    covered = 0
    for _ in range(400):
        estimate = roc_auc(y, random.normal(y * 1.0, 1.0))
        covered += estimate.low <= 0.76025 <= estimate.high

    assert 0.92 <= covered / 400 <= 0.975


def test_models_that_order_alike_do_not_differ() -> None:
    """A retraining on unchanged data: the champion's equal must not fail on rounding."""
    y, p, _ = _simulated(500, seed=3)

    difference = auc_difference(y, p, p**2)

    assert (difference.value, difference.standard_error, difference.p_value) == (0.0, 0.0, 1.0)


def test_a_clear_difference_has_a_small_p_value_whichever_comes_first() -> None:
    y, p, q = _simulated(3000, seed=4, noise=3.0)

    forth, back = auc_difference(y, p, q), auc_difference(y, q, p)

    assert forth.low > 0
    assert forth.p_value < 1e-6
    assert (back.value, back.p_value) == pytest.approx((-forth.value, forth.p_value))


def test_brier_difference_agrees_with_the_paired_t_statistic() -> None:
    y, p, q = _simulated(500, seed=6)

    difference = brier_difference(y, p, q)

    assert difference.value == pytest.approx(metrics.brier(y, p) - metrics.brier(y, q))
    t = ttest_rel((p - y) ** 2, (q - y) ** 2).statistic
    assert difference.value / difference.standard_error == pytest.approx(t)


def test_ece_averages_the_gaps_of_equal_bins() -> None:
    """Two bins of two: mean 0.15 against rate 0.5, mean 0.7 against rate 0.5; ECE (0.35 + 0.20) / 2."""
    assert ece([False, True, True, False], [0.1, 0.2, 0.6, 0.8], n_bins=2) == pytest.approx(0.275)


@settings(deadline=None)
@given(_loans(), st.randoms(use_true_random=False))
def test_ece_does_not_depend_on_row_order(loans: tuple[np.ndarray, np.ndarray], random: object) -> None:
    """Tied probabilities cut by position would make it a figure of the sort, not of the model."""
    y, p = loans
    order = np.arange(len(y))
    random.shuffle(order)  # type: ignore[attr-defined]

    assert ece(y[order], p[order]) == pytest.approx(ece(y, p), abs=1e-12)


def test_chance_alone_explains_the_ece_of_a_calibrated_model() -> None:
    found = [ece(y, p) for y, p, _ in (_simulated(1000, seed=seed) for seed in range(200))]

    _, p, _ = _simulated(1000, seed=0)
    assert ece_by_chance(p) == pytest.approx(np.mean(found), rel=0.05)


def test_bins_hold_equal_numbers_of_loans() -> None:
    y, p, _ = _simulated(1000, seed=5)

    assert reliability(y, p).n.tolist() == [100] * 10


@pytest.mark.parametrize("outcome", [True, False])
def test_what_one_outcome_cannot_tell_is_nan(outcome: bool) -> None:
    """A month without a default must not stop a table by month."""
    found = measure([outcome] * 3, [0.1, 0.2, 0.3], cut_off=0.25)

    assert all(math.isnan(value) for value in (found.auc, found.auc_low, found.auc_high, found.gini, found.ks))
    assert found.brier == pytest.approx(np.mean((np.array([0.1, 0.2, 0.3]) - outcome) ** 2))
    assert math.isnan(found.recall) is not outcome
    assert found.precision == float(outcome)


def test_no_loans_at_all_leave_counts_of_nought() -> None:
    found = measure([], [], cut_off=0.2)

    assert (found.n, found.n_defaults, found.true_positives, found.true_negatives) == (0, 0, 0, 0)
    assert math.isnan(found.brier)
    assert math.isnan(found.ece)
    assert math.isnan(found.ece_by_chance)


def test_a_single_default_has_an_auc_but_no_interval() -> None:
    found = roc_auc([True, False, False], [0.3, 0.1, 0.2])

    assert found.value == 1.0
    assert math.isnan(found.low)


def test_nan_is_null_in_json() -> None:
    found = measure([False], [0.1], cut_off=0.2).to_dict()

    assert found["auc"] is None
    assert found["n"] == 1


def test_a_missing_probability_is_refused() -> None:
    """Sorting would put it last and score the loan as the riskiest of all."""
    with pytest.raises(ValueError, match="found nan in 1 of 2"):
        roc_auc([True, False], [0.1, float("nan")])


def test_outcomes_and_probabilities_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(2,\) and \(3,\)"):
        measure([True, False], [0.1, 0.2, 0.3], cut_off=0.5)


@pytest.mark.parametrize(
    ("train", "test", "kind"),
    [
        (["2010-11", "2010-12"], ["2011-01", "2011-02"], "out of time"),
        (["2010-12"], ["2010-12", "2011-01"], "random split"),
        (["2005-10"], ["2005-10"], "random split"),
    ],
)
def test_a_test_is_out_of_time_only_where_it_came_after_all_train_rows(
    train: list[str], test: list[str], kind: str
) -> None:
    """Undated loans, and those of one month, were called out of time."""
    rows = [
        {"split": split, "month": month} for split, months in (("train", train), ("test", test)) for month in months
    ]

    assert measured_split({"measured": [*rows, {"split": "test", "month": None}]}) == kind


def test_the_brier_score_has_three_parts_that_add_up_to_it() -> None:
    """By hand: the safer two at .2 had no default, the riskier two at .6 had one; the order is right.

    Calibrated anew they are 0 and .5, with the score .125; the rate of .25 alone has .1875.
    """
    y, p = [False, False, False, True], [0.2, 0.2, 0.6, 0.6]

    parts = brier_parts(y, p)

    assert brier(y, p) == pytest.approx(0.15)
    assert (parts.reliability, parts.resolution, parts.uncertainty) == pytest.approx((0.025, 0.0625, 0.1875))
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(0.15)


def test_an_order_that_is_upside_down_has_no_resolution() -> None:
    parts = brier_parts([True, False], [0.1, 0.9])

    assert (parts.resolution, parts.uncertainty) == pytest.approx((0.0, 0.25))
    assert parts.reliability == pytest.approx(0.81 - 0.25)


def test_the_parts_of_no_loan_are_not_measurable() -> None:
    parts = brier_parts([], [])

    assert np.isnan([parts.reliability, parts.resolution, parts.uncertainty]).all()


#: Of the Python package ``hmeasure`` 0.1.6, whose example is this and whose answer is below.
PUBLISHED_Y = [True, True, False, True, True, False, True, True, True, False]
PUBLISHED_P = [0.84901876, 0.10282827, 0.43752488, 0.46004468, 0.90878931, 0.79177719, 0.5297229, 0.13803906,
               0.73166264, 0.22959056]  # fmt: skip


def test_the_h_measure_of_the_packages_example() -> None:
    """Its default severity is Beta(2, 1 + π0/π1)."""
    assert h_measure(PUBLISHED_Y, PUBLISHED_P, severity=(2, 1 + 3 / 7)) == pytest.approx(0.18889596344769588)


def test_the_h_measure_of_three_loans_by_hand() -> None:
    """With every cost equally likely: two loans of risk 1/2 and one of risk 0, of which one in three defaults.

    Loss of a group of risk p: (1 - p) p²/2 + p (1 - p)²/2 = p (1 - p)/2, so (2/3 · 1/8) / (1/9) of one decision's.
    """
    assert h_measure([False, True, False], [0.1, 0.5, 0.5], severity=(1, 1)) == pytest.approx(1 - (1 / 12) / (1 / 9))


def test_the_h_measure_is_the_integral_over_costs() -> None:
    from scipy.stats import beta

    random = np.random.default_rng(3)
    y = random.random(200) < 0.2
    p = np.clip(0.15 + 0.1 * y + 0.1 * random.normal(size=200), 0.01, 0.99).round(2)
    cost = (np.arange(4000) + 0.5) / 4000
    weight = beta(1 + y.mean(), 2 - y.mean()).pdf(cost)
    losses = [cost * (~y & (p >= cut)).mean() + (1 - cost) * (y & (p < cut)).mean() for cut in (*np.unique(p), 2)]
    best, blind = np.min(losses, axis=0) @ weight, np.minimum(cost * (~y).mean(), (1 - cost) * y.mean()) @ weight

    assert h_measure(y, p) == pytest.approx(1 - best / blind, abs=1e-4)
    assert h_measure(y, p**3) == pytest.approx(h_measure(y, p))


def test_the_h_measure_of_one_outcome_is_unknown_and_of_a_perfect_model_1() -> None:
    assert np.isnan(h_measure([True, True], [0.1, 0.2]))
    assert np.isnan(h_measure([], []))
    assert h_measure([False, True, False], [0.1, 0.9, 0.2]) == pytest.approx(1)
    assert h_measure([False, True, False], [0.2, 0.2, 0.2]) == pytest.approx(0)
