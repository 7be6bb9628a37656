"""The figures of expected and of counted defaults, by hand and against the metrics of mature decisions."""

import numpy as np
import pytest

from ml.estimates.expected import figures, group_scores
from ml.judging.metrics import measure


def test_expected_confusion_by_hand() -> None:
    """Cut-off 0.5: 0.7 and 0.6 are declined, with 0.8 + 0.5 = 1.3 expected defaults among them, of 1.6 in all."""
    groups = group_scores([0.6, 0.7, 0.2], cut_off=0.5)

    found = {name: float(value) for name, value in figures(groups.sums([0.5, 0.8, 0.3]), groups).items()}

    assert found["true_positives"] == pytest.approx(1.3)
    assert found["false_positives"] == pytest.approx(0.7)
    assert found["false_negatives"] == pytest.approx(0.3)
    assert found["true_negatives"] == pytest.approx(0.7)
    assert found["precision"] == pytest.approx(0.65)
    assert found["recall"] == pytest.approx(1.3 / 1.6)
    assert found["f1"] == pytest.approx(2.6 / (2.6 + 0.7 + 0.3))
    assert found["default_rate"] == pytest.approx(1.6 / 3)
    # (0.36 - 0.6 + 0.5) + (0.49 - 1.12 + 0.8) + (0.04 - 0.12 + 0.3)
    assert found["brier"] == pytest.approx((0.26 + 0.17 + 0.22) / 3)


def test_counted_defaults_have_the_figures_of_mature_decisions() -> None:
    """Rounded scores tie; the same outcomes must not have two AUCs."""
    generator = np.random.default_rng(3)
    p = generator.uniform(0.01, 0.9, 500).round(2)
    y = generator.uniform(size=500) < p
    groups = group_scores(p, cut_off=0.3)

    found, expected = figures(groups.sums(y), groups), measure(y, p, cut_off=0.3).to_dict()

    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: expected[name] for name in found}
    )


def test_coarse_groups_keep_the_cut_off() -> None:
    p = np.random.default_rng(0).uniform(size=5_000)

    groups = group_scores(p, cut_off=0.2, most_groups=50)

    assert len(groups.n) <= 51
    assert groups.n[groups.is_declined].sum() == (p >= 0.2).sum()


def test_one_class_has_no_rank_measure() -> None:
    groups = group_scores([0.1, 0.2], cut_off=0.5)

    found = figures([0.0, 0.0], groups)

    assert np.isnan(found["auc"])
    assert np.isnan(found["precision"])
    assert found["default_rate"] == 0
