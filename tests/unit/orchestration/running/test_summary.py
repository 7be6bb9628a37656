"""The closing table says what became of the model, by which rule, and what its lender moved."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ml.judging.intervals import IntervalFigures, IntervalGroup
from ml.registry.deployment import Deployment
from orchestration.defs.training.candidates import CandidateDirectory, Judgement, candidate_directory, set_current
from orchestration.running.summary import summary_text
from warehouse.lake.connection import writer
from warehouse.settings import Settings

FIGURES = dict.fromkeys(("auc", "auc_low", "auc_high", "gini", "ks", "brier"), 0.5)


@pytest.fixture
def candidate(home: Settings) -> CandidateDirectory:
    directory = candidate_directory(home, "bank", "f")
    directory.bundle.mkdir(parents=True)
    _measure(directory, gain=0.01)
    moved = {"moved": {"max_auc": "minutes 2026-11"}, "honest_features": {"bureau_score": "bought before"}}
    directory.write_judgement(Judgement(None, (), moved))
    directory.write_publication({"word": "waiting", "text": "version 4 waits", "rule": "the rule"})
    set_current(home, "bank", directory)
    return directory


def _measure(directory: CandidateDirectory, *, gain: float) -> None:
    difference = {"value": gain, "standard_error": 0.02, "low": gain - 0.04, "high": gain + 0.04, "p_value": 0.5}
    rows: list[dict[str, Any]] = [
        {"split": "test", "month": None, "model": model, **FIGURES} for model in ("candidate", "logistic")
    ]
    group = IntervalGroup("1", 500, 0.1, 0.09, 0.12, 0.1, 0.08, 0.13)
    intervals = IntervalFigures(0.03, 0.5, 0.04, by_score=(group,), by_month=(group, replace(group, mean_high=0.07)))
    metrics = {"measured": rows, "comparisons": {"logistic": {"auc": difference}}, "intervals": intervals.to_dict()}
    (directory.bundle / "metrics.json").write_text(json.dumps(metrics))
    lineage = {"settings": {"family": "xgboost"}, "family_choice": None}
    (directory.bundle / "lineage.json").write_text(json.dumps(lineage))


@pytest.mark.usefixtures("candidate")
def test_what_became_of_the_model_stands_with_the_rule(home: Settings) -> None:
    text = summary_text(home, "bank")

    assert "outcome       version 4 waits\n  rule        the rule" in text


@pytest.mark.usefixtures("candidate")
def test_figures_of_an_earlier_run_are_called_so(home: Settings) -> None:
    text = summary_text(home, "bank", has_trained=False)

    assert "this run stopped before it trained a model; these are figures of an earlier run" in text
    assert "an earlier run" not in summary_text(home, "bank")


@pytest.mark.usefixtures("candidate")
def test_the_intervals_and_the_share_referred_are_told(home: Settings) -> None:
    text = summary_text(home, "bank")

    assert (
        "intervals     mean width 0.0300, agrees with the default rate of 1 of 1 score groups and 1 of 2 months; "
        "4.0% of test loans referred" in text
    )


@pytest.mark.usefixtures("candidate")
def test_what_the_lender_moved_stands_with_the_gates(home: Settings) -> None:
    text = summary_text(home, "bank")

    assert "moved       max_auc by the lender: minutes 2026-11" in text
    assert "moved       bureau_score by the lender: bought before" in text


def test_alerts_that_reach_nobody_are_named(home: Settings) -> None:
    """The run ends as it did, so its last lines must say it."""
    with writer("a lake", home):
        pass
    home.alert_routes.write_text("routes: {hook: json://127.0.0.1:1/s3cret}")

    text = summary_text(home, "bank")

    assert "\nnotification  no alert is sent: the file of alert routes, " in text
    assert "s3cret" not in text


def test_a_baseline_that_ranks_better_is_not_kept_silent(home: Settings, candidate: CandidateDirectory) -> None:
    before = summary_text(home, "bank")
    _measure(candidate, gain=-0.02)

    after = summary_text(home, "bank")

    assert "ranks better" not in before
    assert "family        xgboost" in before
    assert "logistic regression ranks better by 0.0200 (95 % interval -0.0200 to +0.0600) on test rows" in after
    assert "`loanlake run --family logistic` trains it" in after


@pytest.mark.usefixtures("candidate")
def test_another_lenders_served_model_is_not_in_it(home: Settings, in_service: Callable[..., Deployment]) -> None:
    """The run of a refused lender said that the model of another was served."""
    in_service(1, source="sparbank")

    text = summary_text(home, "bank")

    assert "sparbank" not in text
    assert "served   " not in text
    assert "drift         not measured yet" in text

    in_service(2)

    assert "served        default_risk_bank version 2" in summary_text(home, "bank")
