"""When a policy asks for a training: the limits of production's sensors, on what was known by the day."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ml.monitoring.performance import Performance
from ml.monitoring.retraining import PromotedAuc
from ml.walk_forward.policies import Wish, find_alarm, wish
from tests.unit.ml.walk_forward.walked_months import walked_month

TESTED = PromotedAuc(value=0.70, low=0.68)
MAY, JUNE = date(2010, 5, 1), date(2010, 6, 1)
FINE = Performance(
    month=JUNE, n_decisions=1000, n_mature=1000, n_defaults=100, default_rate=0.10, mean_probability=0.10,
    auc=0.70, gini=0.40, ks=0.3, brier=0.09, log_loss=0.3, ece=0.01,
)  # fmt: skip


def test_each_policy_wants_what_its_name_says() -> None:
    assert wish("never", "scores drifted") == Wish(False, "the first champion stays")
    assert wish("monthly", None) == Wish(True, "trained every month")
    assert wish("drift", None) == Wish(False, "no drift and no decay")
    assert wish("drift", "scores drifted") == Wish(True, "scores drifted")


@pytest.mark.parametrize(
    ("drift", "alarm"),
    [
        ({}, None),
        ({"score_psi": 0.31, "is_score_drifted": True}, "scores drifted in 2011-04, PSI 0.310"),
        ({"n_features_drifted": 4}, None),
        ({"n_features_drifted": 5}, "5 of 10 features drifted in 2011-04"),
        ({"score_psi": None, "is_score_drifted": None, "n_features_drifted": None, "n_features": None}, None),
    ],
)
def test_drift_of_the_month_before_is_an_alarm(drift: dict[str, object], alarm: str | None) -> None:
    assert find_alarm(walked_month(4, **drift), [FINE], TESTED) == alarm


@pytest.mark.parametrize(
    ("decay", "alarm"),
    [
        ({"auc": 0.65}, "AUC 0.6500 in 2010-06 against 0.7000 when tested"),
        ({"auc": 0.67}, None),  # within .02 of the interval's lower end
        ({"default_rate": 0.16}, "default rate 16.0% in 2010-06 against a mean probability of 10.0%"),
        ({"auc": 0.5, "n_mature": 299}, None),
        ({"auc": 0.5, "n_defaults": 49}, None),
    ],
)
def test_decay_of_the_newest_month_with_enough_labels_is_an_alarm(decay: dict[str, Any], alarm: str | None) -> None:
    earlier = replace(FINE, month=MAY)

    assert find_alarm(walked_month(4), [replace(FINE, **decay), earlier], TESTED) == alarm


def test_a_month_with_too_few_labels_does_not_hide_the_one_before() -> None:
    decayed, young = replace(FINE, month=MAY, auc=0.6), replace(FINE, n_mature=10)

    assert find_alarm(walked_month(4), [decayed, young], TESTED) == "AUC 0.6000 in 2010-05 against 0.7000 when tested"
