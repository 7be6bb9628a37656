"""Newer rows weigh more by the half-life, of any family; a refit learns from tune rows, which judge no more then."""

from dataclasses import replace

import numpy as np
import pytest

from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Sample
from ml.judging.evaluation import evaluate
from ml.training.design_matrix import DesignMatrix
from ml.training.fitting import TrainingSettings, train, training_settings_of
from ml.training.reference import build_reference
from ml.training.samples import Samples, recency_weights
from ml.training.training_set import TrainingSet
from tests.model_factory import CONTRACT
from tests.unit.ml.small_training_set import SETTINGS, small_candidate, small_training_set
from warehouse.errors import SettingError
from warehouse.lenders.lender import Lender, ModelSettings

FAMILIES = {"xgboost": SETTINGS, "logistic": replace(SETTINGS, model=LogisticRegression())}


def test_a_weight_halves_with_each_half_life_before_the_newest_decision() -> None:
    days = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="datetime64[us]")

    weights = recency_weights(days, 12)

    assert weights.mean() == pytest.approx(1)
    assert weights[1:] / weights[:-1] == pytest.approx([2, 2], rel=0.003)  # a leap year is no even 12 months


def test_rows_of_one_load_weigh_the_same() -> None:
    """A lender without dates has the time of the load in place of each decision's."""
    assert recency_weights(np.array(["2024-05-01"] * 3, dtype="datetime64[us]"), 6).tolist() == [1, 1, 1]


def test_only_rows_that_are_learned_from_have_weights() -> None:
    samples = Samples(small_training_set(1000), DesignMatrix.from_contract(CONTRACT), half_life_months=6)

    assert isinstance(samples.both, Sample)
    assert samples.tune.weights is None
    assert len(samples.both.matrix) == len(samples.train.defaulted) + len(samples.tune.defaulted)
    assert samples.both.weights is not None
    assert samples.both.weights[-1] == samples.both.weights.max()


@pytest.mark.parametrize("settings", FAMILIES.values(), ids=FAMILIES)
def test_a_doubled_row_is_a_row_of_double_weight(settings: TrainingSettings) -> None:
    """Of a family that ignores weights both models would be that of equal rows."""
    samples = Samples(small_training_set(1500), DesignMatrix.from_contract(CONTRACT))
    matrix, defaulted = samples.train.matrix, samples.train.defaulted  # type: ignore[union-attr]  # in memory
    twice = np.where(defaulted, 2, 1)
    model = replace(settings.model, row_share=1.0) if settings is SETTINGS else replace(settings.model, cut=0.0)
    free = (0,) * matrix.shape[1]
    weighted = Sample(matrix, defaulted, twice / twice.mean())
    copied = Sample(np.repeat(matrix, twice, axis=0), np.repeat(defaulted, twice))

    scores = [model.fit(rows, samples.tune, free).raw_scores(samples.tune.matrix) for rows in (weighted, copied)]
    plain = model.fit(samples.train, samples.tune, free).raw_scores(samples.tune.matrix)

    assert scores[0].mean() == pytest.approx(scores[1].mean(), abs=0.1)
    assert scores[0].mean() > plain.mean() + 0.4  # ln 2 more odds of default


@pytest.fixture(params=FAMILIES)
def settings(request: pytest.FixtureRequest) -> TrainingSettings:
    return FAMILIES[request.param]


def _turned(training_set: TrainingSet, split: str) -> TrainingSet:
    frame = training_set.frame.copy()
    frame.loc[frame["split"] == split, "is_default"] ^= True
    return replace(training_set, frame=frame)


def test_a_refit_learns_from_tune_rows_and_keeps_what_they_decided(settings: TrainingSettings) -> None:
    once, training_set = small_candidate(replace(settings, refit=False))

    again = train(training_set, CONTRACT, replace(settings, refit=True))

    assert again.feature_importance() != once.feature_importance()
    assert (again.calibrator, again.policy) == (once.calibrator, once.policy)
    assert again.of_tune.tolist() == once.of_tune.tolist()
    if settings is SETTINGS:
        assert again.model.booster.num_boosted_rounds() == once.model.booster.num_boosted_rounds()


def test_a_refit_never_reads_test_rows(settings: TrainingSettings) -> None:
    refit = replace(settings, refit=True, half_life_months=6.0)
    training_set = small_training_set(1500)

    one, other = (train(rows, CONTRACT, refit) for rows in (training_set, _turned(training_set, "test")))

    rows = training_set.rows("test")
    assert one.probabilities(rows).tolist() == other.probabilities(rows).tolist()
    assert one.policy == other.policy


def test_tune_rows_are_judged_by_the_model_that_had_not_seen_them(settings: TrainingSettings) -> None:
    """The refitted model's own scores of them would look better than any month to come."""
    once, training_set = small_candidate(replace(settings, refit=False))
    again = train(training_set, CONTRACT, replace(settings, refit=True))

    figures = [evaluate(candidate, training_set).overall("tune").auc for candidate in (once, again)]

    assert figures[0] == figures[1]


def test_later_months_are_compared_with_all_rows_that_were_learned_from(settings: TrainingSettings) -> None:
    training_set = small_training_set(1500)
    n_train, n_tune = len(training_set.rows("train")), len(training_set.rows("tune"))

    reference = build_reference(train(training_set, CONTRACT, replace(settings, refit=True)), training_set)

    assert len(reference.scores) == n_train + n_tune


def test_a_lenders_file_sets_them(tmp_path) -> None:
    by_default = training_settings_of(Lender(tmp_path / "union.yml"))
    found = training_settings_of(Lender(tmp_path / "bank.yml", model=ModelSettings(refit=False, half_life_months=None)))

    assert (by_default.refit, by_default.half_life_months, by_default.learned) == (True, 24, ("train", "tune"))
    assert (found.refit, found.half_life_months, found.learned) == (False, None, ("train",))
    assert TrainingSettings.from_dict(found.to_dict()) == found


def test_loans_without_dates_all_weigh_the_same(tmp_path) -> None:
    """Their only time is that of the load, which says nothing of how old they are."""
    assert training_settings_of(Lender(tmp_path / "flats.yml", dates="none")).half_life_months is None


def test_a_half_life_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match="half_life_months must be above 0: found 0"):
        TrainingSettings(half_life_months=0)
