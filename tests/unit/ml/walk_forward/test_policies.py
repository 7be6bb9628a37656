"""When a policy asks for a training: the limits of production's sensors, on what was known by the day."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ml.monitoring.performance import Performance
from ml.walk_forward.policies import find_alarm, wish
from tests.unit.ml.walk_forward.walked_months import walked_month

MAY, JUNE = date(2010, 5, 1), date(2010, 6, 1)
FINE = Performance(
    month=JUNE, n_decisions=1000, n_mature=1000, n_defaults=100, default_rate=0.10, mean_probability=0.10,
    auc=0.70, gini=0.40, ks=0.3, brier=0.09, log_loss=0.3, ece=0.01, auc_limit=0.66, default_rate_limit=0.15,
)  # fmt: skip


def test_each_policy_wants_what_its_name_says() -> None:
    assert wish("never", "scores drifted") == (False, "the first champion stays")
    assert wish("monthly", None) == (True, "trained every month")
    assert wish("drift", None) == (False, "no drift and no decay")
    assert wish("drift", "scores drifted") == (True, "scores drifted")


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
    assert find_alarm(walked_month(4, **drift), [FINE]) == alarm


@pytest.mark.parametrize(
    ("decay", "alarm"),
    [
        ({"auc": 0.65}, "AUC 0.6500 in 2010-06, below its limit of 0.6600"),
        ({"auc": 0.67}, None),
        ({"default_rate": 0.16}, "default rate 16.0% in 2010-06, above its limit of 15.0%"),
        ({"auc": 0.5, "auc_limit": None}, None),
    ],
)
def test_decay_of_the_newest_month_with_enough_labels_is_an_alarm(decay: dict[str, Any], alarm: str | None) -> None:
    earlier = replace(FINE, month=MAY)

    assert find_alarm(walked_month(4), [replace(FINE, **decay), earlier]) == alarm


def test_a_month_with_too_few_labels_does_not_hide_the_one_before() -> None:
    decayed, young = replace(FINE, month=MAY, auc=0.6), replace(FINE, auc_limit=None)

    assert find_alarm(walked_month(4), [decayed, young]) == "AUC 0.6000 in 2010-05, below its limit of 0.6600"
