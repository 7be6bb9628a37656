"""What an evaluation holds, against the metrics taken directly."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ml.judging.evaluation import ChampionScores, Evaluation, evaluate, score_splits
from ml.judging.metrics import auc_difference, brier_difference, measure
from ml.training.fitting import Candidate
from ml.training.training_set import TrainingSet
from tests.unit.ml.small_training_set import small_candidate


@pytest.fixture(scope="module")
def candidate() -> Candidate:
    return small_candidate()[0]


@pytest.fixture(scope="module")
def training_set() -> TrainingSet:
    return small_candidate()[1]


@pytest.fixture(scope="module")
def evaluation(candidate: Candidate, training_set: TrainingSet) -> Evaluation:
    return evaluate(candidate, training_set)


def _models(evaluation: Evaluation, split: str) -> list[str]:
    return [row.model for row in evaluation.measured if row.split == split and row.month is None]


def test_every_split_is_measured_overall_for_every_model(
    candidate: Candidate, training_set: TrainingSet, evaluation: Evaluation
) -> None:
    for split in ("train", "tune", "test"):
        assert _models(evaluation, split) == ["candidate", "logistic", "base_rate"]
        assert evaluation.overall(split) == measure(
            training_set.defaulted(split),
            candidate.judged(training_set, split),
            cut_off=candidate.policy.cut_off,
        )


def test_months_are_those_of_the_decision_and_add_up(training_set: TrainingSet, evaluation: Evaluation) -> None:
    months = [row for row in evaluation.measured if row.split == "test" and row.month and row.model == "candidate"]

    assert [row.month for row in months] == ["2021-05", "2021-06", "2021-07", "2021-08"]
    assert sum(row.metrics.n_defaults for row in months) == training_set.defaulted("test").sum()


def test_the_base_rate_gives_every_loan_the_default_rate_of_tune(
    training_set: TrainingSet, evaluation: Evaluation
) -> None:
    base = evaluation.overall("test", "base_rate")

    assert base.auc == 0.5
    assert base.mean_probability == pytest.approx(training_set.defaulted("tune").mean())


def test_the_candidate_is_compared_with_the_baseline_on_the_same_loans(
    candidate: Candidate, training_set: TrainingSet, evaluation: Evaluation
) -> None:
    rows, defaulted = training_set.rows("test"), training_set.defaulted("test")
    ours, theirs = candidate.probabilities(rows), candidate.baselines["logistic"].probabilities(rows)

    assert list(evaluation.comparisons) == ["logistic"]
    assert evaluation.comparisons["logistic"].auc == auc_difference(defaulted, ours, theirs)
    assert evaluation.comparisons["logistic"].brier == brier_difference(defaulted, ours, theirs)


def test_a_champion_is_measured_on_test_and_compared(candidate: Candidate, training_set: TrainingSet) -> None:
    champion = ChampionScores(version=4, probabilities=candidate.probabilities(training_set.rows("test")) ** 2)

    evaluation = evaluate(candidate, training_set, champion)

    assert evaluation.champion_version == 4
    assert _models(evaluation, "test")[-1] == "champion"
    assert "champion" not in _models(evaluation, "tune")
    assert evaluation.comparisons["champion"].auc.value == 0.0
    assert evaluation.comparisons["champion"].brier.value < 0


def test_champion_scores_of_other_rows_are_refused(candidate: Candidate, training_set: TrainingSet) -> None:
    """Compared on different loans, a champion's figures would decide promotions by luck."""
    champion = ChampionScores(version=4, probabilities=np.full(len(training_set.rows("test")) - 1, 0.1))

    with pytest.raises(ValueError, match=f"each of the {len(training_set.rows('test'))} test rows"):
        score_splits(candidate, training_set, champion)


def test_a_month_without_a_default_stays_in_the_table(candidate: Candidate, training_set: TrainingSet) -> None:
    frame = training_set.frame.copy()
    frame.loc[frame["decided_at"].dt.strftime("%Y-%m") == "2021-06", "is_default"] = False

    rows = evaluate(candidate, replace(training_set, frame=frame)).to_dict()["measured"]

    june = next(row for row in rows if row["month"] == "2021-06" and row["model"] == "candidate")
    assert (june["n_defaults"], june["auc"], june["recall"]) == (0, None, None)
    assert june["brier"] > 0
    json.dumps(rows, allow_nan=False)


def test_flat_figures_are_finite_and_named_by_split_and_model(evaluation: Evaluation) -> None:
    """MLflow refuses nan, and a figure that is not there is better than one that is wrong."""
    flat = evaluation.to_metrics()

    assert flat["candidate_on_test/auc"] == evaluation.overall("test").auc
    assert flat["candidate_on_train/brier"] == evaluation.overall("train").brier
    assert flat["others_on_test/logistic_brier"] == evaluation.overall("test", "logistic").brier
    assert flat["gains_on_test/auc_over_logistic"] == evaluation.comparisons["logistic"].auc.value


def test_a_figure_that_could_not_be_measured_is_left_out(evaluation: Evaluation) -> None:
    unmeasured = [replace(row, metrics=replace(row.metrics, ks=float("nan"))) for row in evaluation.measured]

    flat = replace(evaluation, measured=tuple(unmeasured)).to_metrics()

    assert not any(name.endswith(("_ks", "/ks")) for name in flat)
    assert np.isfinite(list(flat.values())).all()


def test_mlflow_shows_the_figures_that_people_compare_first(evaluation: Evaluation) -> None:
    """There were 266, in which the AUC on test was hard to find."""
    flat = evaluation.to_metrics()

    assert sorted(flat)[0].startswith("candidate_on_test/")
    assert {f"candidate_on_test/{name}" for name in ("auc", "auc_low", "auc_high", "gini", "ks", "brier")} <= set(flat)
    assert len(flat) < 50


def test_json_carries_the_whole_of_it(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_dict(), allow_nan=False)

    again = Evaluation.from_dict(json.loads(text))

    assert again.overall("test") == evaluation.overall("test")
    assert again.to_dict() == evaluation.to_dict()


def test_a_model_that_was_not_measured_is_a_key_error(evaluation: Evaluation) -> None:
    with pytest.raises(KeyError, match="champion was not measured on test"):
        evaluation.overall("test", "champion")
