"""The newest month's drift as a file for whoever does not open the lake."""

from dataclasses import replace
from datetime import date

import pytest

from ml.monitoring.drift import FeatureDrift, ScoreDrift
from ml.monitoring.drift_figures import SCORE, Figure, newest_month, publish_drift, read_drift
from ml.monitoring.samples import MonitoredModel
from warehouse.errors import MonitoringError
from warehouse.settings import Settings

MODEL = MonitoredModel("simulated", "default_risk_simulated", 3)
MAY, JUNE = date(2022, 5, 1), date(2022, 6, 1)
FEATURE = FeatureDrift(
    month=JUNE,
    feature="loan_to_income",
    kind="numeric",
    n_reference=1000,
    n_current=100,
    psi=0.3,
    psi_limit=0.2,
    ks=0.1,
    ks_p_value=0.5,
    chi2=None,
    chi2_p_value=None,
    missing_share_reference=0.0,
    missing_share_current=0.0,
    missing_share_change=0.0,
    missing_share_limit=0.1,
    is_drifted=True,
    is_severe=False,
    bins="[]",
)
SCORES = ScoreDrift(
    month=MAY,
    n_reference=1000,
    n_current=100,
    psi=0.05,
    psi_limit=0.2,
    ks=0.1,
    ks_p_value=0.5,
    mean_reference=0.1,
    mean_current=0.1,
    is_drifted=False,
    is_severe=False,
    bins="[]",
)


def test_only_the_newest_month_is_told() -> None:
    """A month of two years ago that drifted must not look like today."""
    drift = newest_month(MODEL, [replace(FEATURE, month=MAY, psi=0.9), FEATURE], [SCORES, replace(SCORES, month=JUNE)])

    assert drift is not None
    assert drift.month == JUNE
    assert drift.figures == (Figure("loan_to_income", 0.3, True, 0.2), Figure(SCORE, 0.05, False, 0.2))


def test_a_month_of_too_few_decisions_does_not_take_the_place_of_one_that_was_judged() -> None:
    few = replace(FEATURE, month=date(2022, 7, 1), psi_limit=None, missing_share_limit=None, is_drifted=False)

    drift = newest_month(MODEL, [FEATURE, few], [])

    assert drift is not None
    assert drift.month == JUNE


def test_what_is_published_is_read_and_then_replaced(home: Settings) -> None:
    drift = newest_month(MODEL, [FEATURE], [])
    assert drift is not None

    publish_drift(home, "simulated", [drift])

    assert read_drift(home, "simulated") == (drift,)
    assert read_drift(home, "lending_club") == ()
    publish_drift(home, "simulated", [])
    assert read_drift(home, "simulated") == ()


def test_a_version_without_decisions_has_no_drift() -> None:
    assert newest_month(MODEL, [], []) is None


def test_a_file_that_is_something_else_is_named(home: Settings) -> None:
    publish_drift(home, "simulated", [])
    home.drift("simulated").write_text('{"psi": 1}')

    with pytest.raises(MonitoringError, match=r"simulated/drift\.json must hold the newest drift"):
        read_drift(home, "simulated")
