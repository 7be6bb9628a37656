"""The family is chosen by tune rows: the lower log loss, the simpler of two equal ones, never by test rows."""

from dataclasses import replace

import numpy as np
import pytest

from ml.calibration.calibrators import uncalibrated
from ml.families.ensemble import Ensemble, Member
from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Family
from ml.training.family_choice import FamilyChoice, choose_family
from ml.training.fitting import TrainingSettings, train, training_settings_of
from ml.training.training_set import TrainingSet
from tests.model_factory import CONTRACT
from tests.unit.ml.small_training_set import SETTINGS, small_training_set
from warehouse.lenders.lender import Lender, ModelSettings

AUTO = replace(SETTINGS, prefer_simpler=True)


def _tune() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, the probabilities that know their risk, and some that hardly do."""
    random = np.random.default_rng(3)
    risk = random.normal(size=2000) - 1
    defaulted = random.random(2000) < uncalibrated(risk)
    return defaulted, uncalibrated(risk), uncalibrated(risk + 2 * random.normal(size=2000))


@pytest.mark.parametrize(("line", "curve", "chosen"), [(0, 1, "line"), (1, 0, "curve"), (0, 0, "line")])
def test_the_lower_log_loss_wins_and_of_two_equal_ones_the_simpler(line: int, curve: int, chosen: str) -> None:
    defaulted, *probabilities = _tune()

    choice = choose_family(("line", probabilities[line]), ("curve", probabilities[curve]), defaulted)

    assert choice.chosen == chosen
    assert {choice.chosen, choice.passed_over} == {"line", "curve"}
    assert choice.low <= choice.gain <= choice.high
    assert (choice.gain == 0) == (line == curve)


def test_both_are_calibrated_before_they_are_compared() -> None:
    """A model that ranks as well must not lose for a level that calibration mends."""
    defaulted, probabilities, _ = _tune()
    log_odds = np.log(probabilities / (1 - probabilities))

    choice = choose_family(("line", probabilities), ("curve", uncalibrated(2 * log_odds + 5)), defaulted)

    assert choice.gain == pytest.approx(0, abs=1e-6)


def test_the_choice_in_words() -> None:
    choice = FamilyChoice("logistic", "xgboost", gain=0.0012, low=-0.001, high=0.0034, n_rows=9228)

    assert choice.text == (
        "logistic rather than xgboost: on 9,228 tune rows its log loss is lower by 0.0012 per loan "
        "(95 % interval -0.0010 to +0.0034)"
    )


def _with_risk(training_set: TrainingSet, risk: object) -> TrainingSet:
    defaulted = np.random.default_rng(5).random(len(training_set.frame)) < risk
    return replace(training_set, frame=training_set.frame.assign(is_default=defaulted))


def _straight(n: int = 2500) -> TrainingSet:
    """Outcomes that follow a line in the log-odds."""
    found = small_training_set(n)
    log_odds = -2 + 0.7 * found.frame["max_months_past_due_6m"] - 0.003 * found.frame["credit_age_months"]
    return _with_risk(found, 1 / (1 + np.exp(-log_odds)))


def _bent(n: int = 2500) -> TrainingSet:
    """Outcomes that follow a curve, which a line cannot."""
    found = small_training_set(n)
    far = (np.log(found.frame["requested_amount"]) - 9).abs() > 0.5
    return _with_risk(found, np.where(far, 0.35, 0.05))


def test_the_line_is_the_candidate_where_it_wins_and_the_trees_are_shown_beside_it() -> None:
    candidate = train(_straight(), CONTRACT, AUTO)

    assert candidate.family_choice is not None
    assert (candidate.family_choice.chosen, candidate.family_choice.passed_over) == ("logistic", "xgboost")
    assert candidate.settings == replace(SETTINGS, model=LogisticRegression())
    assert list(candidate.baselines) == ["logistic", "xgboost"]
    assert candidate.model is candidate.baselines["logistic"].model


def test_the_trees_are_the_candidate_where_they_win() -> None:
    candidate = train(_bent(), CONTRACT, AUTO)

    assert candidate.family_choice is not None
    assert candidate.family_choice.chosen == "xgboost"
    assert candidate.settings == SETTINGS
    assert list(candidate.baselines) == ["logistic"]


def test_test_rows_choose_nothing() -> None:
    """Outcomes of test rows that only trees can follow change neither the choice nor the model."""
    training_set, bent = _straight(), _bent().frame["is_default"]
    outcomes = training_set.frame["is_default"].mask(training_set.frame["split"] == "test", bent)
    frame = training_set.frame.assign(is_default=outcomes)

    before, after = (train(rows, CONTRACT, AUTO) for rows in (training_set, replace(training_set, frame=frame)))

    assert after.family_choice == before.family_choice
    assert after.model == before.model


def test_a_named_family_is_trained_without_a_choice() -> None:
    settings = TrainingSettings(model=LogisticRegression())

    candidate = train(small_training_set(800), CONTRACT, settings)

    assert candidate.family_choice is None
    assert candidate.settings == settings


@pytest.mark.parametrize(
    ("of_file", "of_run", "family", "prefer_simpler"),
    [
        (None, "", "xgboost", True),
        ("auto", "", "xgboost", True),
        ("logistic", "", "logistic", False),
        ("logistic", "xgboost", "xgboost", False),
        ("logistic", "auto", "xgboost", True),
        ("xgboost", "logistic", "logistic", False),
    ],
)
def test_a_run_names_the_family_before_the_lenders_file(
    of_file: str | None, of_run: str, family: str, prefer_simpler: bool, tmp_path
) -> None:
    settings = training_settings_of(Lender(tmp_path / "bank.yml", model=ModelSettings(family=of_file)), family=of_run)

    assert (settings.model.name, settings.prefer_simpler) == (family, prefer_simpler)


def test_settings_of_the_files_family_hold_wherever_it_is_trained(tmp_path) -> None:
    """Also as the baseline, and as the simpler of two."""
    lender = Lender(tmp_path / "bank.yml", model=ModelSettings(family="logistic", settings={"l2": 7}))

    assert training_settings_of(lender).model == LogisticRegression(l2=7)
    assert training_settings_of(lender, family="auto").logistic == LogisticRegression(l2=7)
    assert training_settings_of(lender, family="xgboost").logistic == LogisticRegression(l2=7)


def test_a_refresh_keeps_the_settings_of_the_version_unless_the_lenders_file_has_some_of_its_family(tmp_path) -> None:
    """An ensemble of registered versions, whose members no file names, must not become one of the default members."""
    members = (Member("logistic", {"l2": 7.0}), Member("logistic", {"l2": 70.0}))
    refreshed = Ensemble(members, l2=3.0)

    def model(family: str, **settings: object) -> Family:
        lender = Lender(tmp_path / "bank.yml", model=ModelSettings(family=family, settings=settings))  # type: ignore[arg-type]
        return training_settings_of(lender, family="ensemble", refreshed=refreshed).model

    assert model("auto") == refreshed
    assert model("auto", max_depth=2) == refreshed
    assert model("ensemble") == refreshed
    assert model("ensemble", method="stacking") == Ensemble(method="stacking")
    assert training_settings_of(Lender(tmp_path / "bank.yml"), family="logistic", refreshed=refreshed).model.name == (
        "logistic"
    )
