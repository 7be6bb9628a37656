"""Performance of decisions against scikit-learn, and which label counts."""

from datetime import date, datetime

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from ml.judging import metrics
from ml.monitoring import performance
from ml.monitoring.limits import PerformanceRule
from ml.monitoring.performance import record_performance
from tests.unit.ml.decisions_lake import MODEL, Bank

JANUARY = date(2024, 1, 1)


def _decide(bank: Bank, probability: list[float], decided_at: datetime, prefix: str) -> list[str]:
    ids = [f"{prefix}{number}" for number in range(len(probability))]
    bank.decide(decided_at, [{}] * len(ids), probability=probability, application_ids=ids)
    return ids


def test_every_measure_equals_scikit_learn_and_the_gates_own(bank: Bank) -> None:
    """Rounded scores tie, which is where a rank-based measure goes wrong."""
    generator = np.random.default_rng(7)
    p = generator.uniform(0.01, 0.99, 400).round(2)
    y = generator.uniform(size=400) < p
    ids = _decide(bank, p.tolist(), datetime(2024, 1, 10), "a")
    bank.label(dict(zip(ids, y.tolist(), strict=True)))

    (found,) = record_performance(bank.settings, MODEL)

    assert (found.n_decisions, found.n_mature, found.n_defaults) == (400, 400, y.sum())
    assert found.default_rate == pytest.approx(y.mean())
    assert found.mean_probability == pytest.approx(p.mean())
    assert found.auc == pytest.approx(roc_auc_score(y, p))
    assert found.gini == pytest.approx(2 * roc_auc_score(y, p) - 1)
    assert found.ks == pytest.approx(metrics.ks(y, p))
    assert found.brier == pytest.approx(brier_score_loss(y, p))
    assert found.log_loss == pytest.approx(log_loss(y, p))
    assert found.ece == pytest.approx(metrics.ece(y, p))


def test_by_hand(bank: Bank) -> None:
    """Defaults at .9 and .4, repayments at .4 and .1: of four pairs three are won and one is a tie."""
    ids = _decide(bank, [0.9, 0.4, 0.4, 0.1], datetime(2024, 1, 10), "a")
    bank.label(dict(zip(ids, [True, True, False, False], strict=True)))

    (found,) = record_performance(bank.settings, MODEL)

    assert found.auc == pytest.approx(3.5 / 4)
    assert found.ks == pytest.approx(0.5)
    assert found.brier == pytest.approx((0.01 + 0.36 + 0.16 + 0.01) / 4)


def test_decisions_without_a_mature_label_are_counted_but_not_judged(bank: Bank) -> None:
    ids = _decide(bank, [0.9, 0.1, 0.5], datetime(2024, 1, 10), "a")
    _decide(bank, [0.9], datetime(2024, 2, 10), "b")
    bank.label({ids[0]: True, ids[1]: False})

    (found,) = record_performance(bank.settings, MODEL)

    assert (found.month, found.n_decisions, found.n_mature, found.n_defaults) == (JANUARY, 3, 2, 1)


def test_one_class_has_no_rank_measure(bank: Bank) -> None:
    ids = _decide(bank, [0.2, 0.4], datetime(2024, 1, 10), "a")
    bank.label(dict.fromkeys(ids, False))

    (found,) = record_performance(bank.settings, MODEL)

    assert (found.auc, found.gini, found.ks) == (None, None, None)
    assert found.brier == pytest.approx((0.04 + 0.16) / 2)
    assert found.ece == pytest.approx(0.3)


def test_certain_and_wrong_is_finite(bank: Bank) -> None:
    ids = _decide(bank, [0.0, 1.0], datetime(2024, 1, 10), "a")
    bank.label({ids[0]: True, ids[1]: False})

    (found,) = record_performance(bank.settings, MODEL)

    assert found.log_loss == pytest.approx(-np.log(1e-15), rel=1e-3)


def test_a_reported_outcome_counts_until_the_warehouse_has_its_own(bank: Bank) -> None:
    first, second, third = _decide(bank, [0.9, 0.1, 0.2], datetime(2024, 1, 10), "a")
    bank.label({first: True})
    bank.con.executemany(
        "insert into serving.reported_outcomes (source, application_id, is_default, known_at) values ($1, $2, $3, $4)",
        [
            ["bank", first, False, datetime(2024, 9, 1)],  # the warehouse knows better
            ["bank", second, True, datetime(2024, 8, 1)],  # corrected by the next
            ["bank", second, False, datetime(2024, 9, 1)],
            ["shop", third, True, datetime(2024, 9, 1)],  # another lender's application of the same id
        ],
    )

    (found,) = record_performance(bank.settings, MODEL)

    assert (found.n_mature, found.n_defaults, found.auc) == (2, 1, 1)


def test_measuring_again_writes_nothing(bank: Bank) -> None:
    ids = _decide(bank, [0.9, 0.4, 0.4, 0.1], datetime(2024, 1, 10), "a")
    bank.label(dict(zip(ids, [True, True, False, False], strict=True)))
    record_performance(bank.settings, MODEL)
    before = bank.snapshot()

    record_performance(bank.settings, MODEL)

    assert bank.snapshot() == before
    assert bank.query("select auc from monitoring.model_performance") == [(0.875,)]


def test_a_month_is_measured_again_when_a_label_of_it_changes(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Months without anything new keep their rows unread: labels of years are not sorted again every day."""
    january = _decide(bank, [0.9, 0.1], datetime(2024, 1, 10), "a")
    february = _decide(bank, [0.9, 0.1], datetime(2024, 2, 10), "b")
    bank.label({january[0]: True, january[1]: False, february[0]: True, february[1]: False})
    record_performance(bank.settings, MODEL)
    measured = []
    original = performance._measured
    monkeypatch.setattr(
        performance, "_measured", lambda con, month, *rest: measured.append(month) or original(con, month, *rest)
    )

    nothing_new = record_performance(bank.settings, MODEL)
    bank.label({january[0]: True, january[1]: False, february[0]: False, february[1]: False})
    corrected = record_performance(bank.settings, MODEL)

    assert [row.n_defaults for row in nothing_new] == [1, 1]
    assert [row.n_defaults for row in corrected] == [1, 0]
    assert measured == [date(2024, 2, 1)]


def test_the_months_own_interval_and_the_tests_auc_decide_about_a_drop(bank: Bank) -> None:
    """Ranked at random: far below an AUC of .80, which 2,000 decisions show; a low end of .50 alone would not."""
    generator = np.random.default_rng(3)
    p = generator.uniform(0.01, 0.99, 2_000)
    y = generator.uniform(size=2_000) < generator.permutation(p) * 0.5 + 0.25 * p
    ids = _decide(bank, p.tolist(), datetime(2024, 1, 10), "a")
    bank.label(dict(zip(ids, y.tolist(), strict=True)))

    (by_the_interval,) = record_performance(bank.settings, MODEL, tested_low=0.5)
    rule = PerformanceRule(auc_drop=0.05)
    (by_the_drop,) = record_performance(bank.settings, MODEL, tested_low=0.5, tested_auc=0.8, rule=rule)

    assert (by_the_interval.auc_limit, by_the_drop.auc_limit) == (0.55, pytest.approx(0.76))
    assert (by_the_interval.is_decayed, by_the_drop.is_decayed) == (False, True)
