"""Trials in Optuna's storage: a poor one ends early, on what it shows beside the present settings on the same folds."""

from dataclasses import replace
from pathlib import Path

from ml.families.linear.logistic import LogisticRegression
from ml.search.results import SearchLimits, SearchTrial
from ml.search.scoring import FoldScore
from ml.search.space import space_of
from ml.search.study import Study
from tests.model_factory import SETTINGS

LINE = replace(SETTINGS, model=LogisticRegression())
#: The third fold is of a bad year, for every model.
REFERENCE = (0.40, 0.41, 0.60, 0.42)


def score(log_loss: float) -> FoldScore:
    return FoldScore("2020-01", 100, 20, log_loss, 0.7, 0.1, 0.01, 0.05, 1.0, 1.0)


def measured(study: Study, worse_by: float) -> SearchTrial:
    running = study.ask()
    for loss in REFERENCE:
        finished = study.add(running, score(loss + worse_by), n_folds=len(REFERENCE))
        if finished is not None:
            return finished
    raise AssertionError("a trial ends with its last fold")


def test_a_trial_worse_than_the_median_ends_after_two_folds_and_is_never_the_best(tmp_path: Path) -> None:
    space = space_of(LINE, n_features=8, is_dated=True)
    study = Study.open(tmp_path / "study.sqlite", "search", space, SearchLimits())
    study.keep_importance({f"feature_{number}": number / 100 for number in range(8)}, REFERENCE)
    for worse_by in (0.0, 0.01, 0.02, 0.03, 0.04):
        assert not measured(study, worse_by).is_pruned

    poor, good = measured(study, 0.05), measured(study, -0.01)

    assert (poor.is_pruned, len(poor.folds)) == (True, 2)
    assert (good.is_pruned, len(good.folds)) == (False, 4)
    assert [trial.number for trial in study.finished() if trial.is_pruned] == [poor.number]
    assert sum(study.influence().values()) > 0.99
