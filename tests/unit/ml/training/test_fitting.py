"""What shapes a candidate, and what must not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.calibration.calibrators import LogOddsCalibrator
from ml.families.catalogue import AUTO, FAMILIES
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.judging.metrics import roc_auc
from ml.training.fitting import TrainingSettings, train, training_settings_of
from ml.training.policy import Band, CutOffRule
from ml.training.training_set import TrainingSet
from tests.model_factory import CONTRACT
from tests.unit.ml.small_training_set import SETTINGS, small_candidate, small_training_set
from warehouse.errors import ContractError, SettingError
from warehouse.lenders.lender import CutOffSettings, Lender, ModelSettings, PolicySettings


def test_the_same_training_set_and_settings_give_the_same_candidate() -> None:
    first, training_set = small_candidate()

    again = train(training_set, CONTRACT, SETTINGS)

    assert again.model.to_bytes() == first.model.to_bytes()
    assert (again.calibrator, again.policy, again.base_rate) == (first.calibrator, first.policy, first.base_rate)


def test_test_rows_shape_nothing() -> None:
    """With every test outcome turned around the candidate must come out the same."""
    candidate, training_set = small_candidate()
    frame = training_set.frame.copy()
    of_test = frame["split"] == "test"
    frame.loc[of_test, "is_default"] = ~frame.loc[of_test, "is_default"]
    frame.loc[of_test, "loan_to_income"] = 1000.0

    turned = train(replace(training_set, frame=frame), CONTRACT, SETTINGS)

    assert turned.model.to_bytes() == candidate.model.to_bytes()
    assert turned.calibrator == candidate.calibrator
    assert turned.policy == candidate.policy
    rows = training_set.rows("train")
    for name, baseline in candidate.baselines.items():
        np.testing.assert_array_equal(turned.baselines[name].probabilities(rows), baseline.probabilities(rows))


def test_a_candidate_knows_what_made_it() -> None:
    candidate, training_set = small_candidate()

    assert (candidate.source, candidate.snapshot, candidate.training_set_sha256) == (
        training_set.source,
        training_set.snapshot,
        training_set.sha256,
    )
    assert candidate.base_rate == pytest.approx(training_set.defaulted("tune").mean())
    assert candidate.training_seconds > 0


def test_probabilities_are_calibrated_raw_scores() -> None:
    candidate, training_set = small_candidate()
    rows = training_set.rows("tune")

    probabilities = candidate.probabilities(rows)

    np.testing.assert_array_equal(probabilities, candidate.calibrator.apply(candidate.raw(rows)))
    assert probabilities.mean() == pytest.approx(training_set.defaulted("tune").mean(), abs=0.005)


def test_importance_names_what_drives_the_risk_and_sums_to_one() -> None:
    candidate, _ = small_candidate()

    importance = candidate.feature_importance()

    assert set(list(importance)[:3]) == {"max_months_past_due_6m", "loan_to_income", "purpose"}
    assert list(importance.values()) == sorted(importance.values(), reverse=True)
    assert set(importance) == set(CONTRACT.feature_names)
    assert sum(importance.values()) == pytest.approx(1)


def test_an_excluded_feature_is_in_neither_model_nor_baseline() -> None:
    """Figures "without the lender's own rate" are worthless if the baseline or the trees still see it."""
    training_set = small_training_set(1500)
    candidate = train(training_set, CONTRACT, replace(SETTINGS, exclude=("max_months_past_due_6m",)))
    rows = training_set.rows("test")
    changed = rows.assign(max_months_past_due_6m=60.0)

    assert "max_months_past_due_6m" not in candidate.feature_importance()
    np.testing.assert_array_equal(candidate.probabilities(changed), candidate.probabilities(rows))
    logistic = candidate.baselines["logistic"]
    np.testing.assert_array_equal(logistic.probabilities(changed), logistic.probabilities(rows))


def test_excluding_what_the_contract_does_not_have_is_refused() -> None:
    with pytest.raises(ContractError, match="found lender_grade"):
        train(small_training_set(500), CONTRACT, TrainingSettings(exclude=("lender_grade",)))


def _with_rate(training_set: TrainingSet, rates: object) -> tuple[TrainingSet, object]:
    rate = replace(CONTRACT.features[1], name="annual_rate", monotone="increasing")
    contract = replace(CONTRACT, features=(*CONTRACT.features, rate))
    return replace(training_set, frame=training_set.frame.assign(annual_rate=rates)), contract


def test_the_lenders_own_rate_alone_is_a_baseline_where_there_is_one() -> None:
    """Also where the model leaves the rate out: it is what the lender has already."""
    training_set = small_training_set(2000)
    rates = 0.05 + 0.02 * training_set.frame["max_months_past_due_6m"]
    with_rate, contract = _with_rate(training_set, rates)

    candidate = train(with_rate, contract, replace(SETTINGS, exclude=("annual_rate",)))  # type: ignore[arg-type]

    test = with_rate.rows("test")
    by_rate = candidate.baselines["lender_rate"].probabilities(test)
    expected = roc_auc(with_rate.defaulted("test"), test["annual_rate"]).value
    assert roc_auc(with_rate.defaulted("test"), by_rate).value == pytest.approx(expected)


@pytest.mark.parametrize("rates", [0.12, np.nan])
def test_a_rate_that_never_varies_is_no_baseline(rates: float) -> None:
    """A credit-card lender has no rate: the column is there, and empty."""
    training_set, contract = _with_rate(small_training_set(800), rates)

    candidate = train(training_set, contract, SETTINGS)  # type: ignore[arg-type]

    assert list(candidate.baselines) == ["logistic"]


def test_the_cut_off_follows_its_rule_on_tune_rows() -> None:
    rule = CutOffRule(rule="approval_rate", approval_rate=0.7)

    candidate, training_set = small_candidate(replace(SETTINGS, cut_off=rule))

    declined = candidate.probabilities(training_set.rows("tune")) >= candidate.policy.cut_off
    assert declined.mean() == pytest.approx(0.3, abs=0.01)


def test_calibration_is_the_method_asked_for() -> None:
    candidate, _ = small_candidate(replace(SETTINGS, calibration="beta"))

    assert isinstance(candidate.calibrator, LogOddsCalibrator)
    assert candidate.calibrator.method == "beta"


SET = TrainingSettings(
    exclude=("annual_rate", "lender_grade"),
    calibration="isotonic",
    cut_off=CutOffRule(rule="fixed", probability=0.3),
    bands=(Band("good", 0.1), Band("bad", 1.0)),
)


def test_json_carries_all_settings() -> None:
    assert TrainingSettings.from_dict(json.loads(json.dumps(SET.to_dict()))) == SET


def test_settings_are_logged_flat_and_readable() -> None:
    params = SET.to_params()

    assert params["exclude"] == "annual_rate, lender_grade"
    assert params["model.max_depth"] == "4"
    assert params["cut_off.rule"] == "fixed"
    assert params["bands"] == "good < 0.1, bad < 1"


def test_a_lender_sets_its_model_cut_off_and_bands() -> None:
    """What its file does not say is the default of the policy."""
    policy = PolicySettings(CutOffSettings(rule="fixed", probability=0.3), bands={"safe": 0.1, "risky": 1.0})
    lender = Lender(Path("bank.yml"), policy=policy, model=ModelSettings(settings={"max_depth": 2}, calibration="beta"))

    settings = training_settings_of(lender, exclude=("annual_rate",))

    assert (settings.model, settings.calibration) == (GradientBoosting(max_depth=2), "beta")
    assert settings.cut_off == CutOffRule(rule="fixed", probability=0.3)
    assert settings.bands == (Band("safe", 0.1), Band("risky", 1.0))
    assert training_settings_of(Lender(Path("union.yml"))) == TrainingSettings(prefer_simpler=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 2}, "bank.yml: model.settings.depth must be a setting of xgboost: known are max_trees, "),
        ({"max_depth": 2.5}, "bank.yml: model.settings.max_depth must be a whole number: found 2.5"),
    ],
)
def test_a_setting_that_its_family_does_not_have_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        training_settings_of(Lender(Path("bank.yml"), model=ModelSettings(settings=settings)))


def test_an_unknown_family_of_a_lender_is_refused() -> None:
    known = ", ".join((AUTO, *(family.name for family in FAMILIES)))

    with pytest.raises(SettingError, match=rf"model\.family must be one of {known}: found 'forest'"):
        training_settings_of(Lender(Path("bank.yml"), model=ModelSettings(family="forest")))
