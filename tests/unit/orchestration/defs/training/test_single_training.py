"""One candidate is trained as the command says, and as the lender's file says where the command is silent."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import Queue
from typing import Any

import pytest
from click.testing import CliRunner

from ml.judging.publication import RULE
from ml.training.training_set import read_training_set
from orchestration import train_command
from orchestration.defs.serving.publishing import Outcome
from orchestration.defs.training import single_training
from orchestration.defs.training.candidates import (
    CandidateDirectory,
    Judgement,
    TrainingSetRecord,
    read_training_set_record,
    write_training_set,
)
from orchestration.defs.training.single_training import TrainingPlan, planned_settings, run_training
from tests.model_factory import CONTRACT, MODEL_NAME, SOURCE, fill_lake
from warehouse.errors import NotFoundError, SettingError
from warehouse.lake.connection import connect
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


def _plan(**given: Any) -> TrainingPlan:
    return TrainingPlan(SOURCE, **given)


def test_what_is_asked_for_takes_the_place_of_the_file() -> None:
    lender = read_lender(SOURCE)
    file = replace(lender, model=replace(lender.model, family="xgboost", settings={"max_depth": 2, "l2": 7.0}))

    silent = planned_settings(file, _plan())
    asked = planned_settings(
        file,
        _plan(
            family_settings={"max_depth": 6},
            exclude=("purpose",),
            ways={"imbalance": "class_weights", "refit": False, "half_life_months": None, "calibration": "beta"},
        ),
    )
    other = planned_settings(file, _plan(family="random_forest", family_settings={"n_trees": 30}))

    assert (silent.model.max_depth, silent.model.l2, silent.imbalance, silent.refit) == (2, 7.0, "none", True)
    assert (asked.model.max_depth, asked.model.l2) == (6, 7.0)
    assert (asked.imbalance, asked.refit, asked.half_life_months) == ("class_weights", False, None)
    assert (asked.calibration, asked.exclude) == ("beta", ("purpose",))
    assert (other.model.name, other.model.n_trees) == ("random_forest", 30)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"family_settings": {"depth": 3}}, "--setting depth must be a setting of xgboost: known are max_trees"),
        ({"family": "scorecard", "family_settings": {"l2": "much"}}, "--setting l2 must be a number: found 'much'"),
        ({"family": "forest"}, "the family of a model must be one of auto, xgboost"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        planned_settings(read_lender(SOURCE), _plan(**given))


def test_a_half_life_without_dates_is_refused_not_dropped() -> None:
    undated = replace(read_lender(SOURCE), dates="none")

    with pytest.raises(SettingError, match=r"--half-life-months weighs loans by their dates .* `dates: none`"):
        planned_settings(undated, _plan(ways={"half_life_months": 12.0}))


@pytest.fixture
def accepted(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose last run accepted a training set; gates and MLflow are not part of these tests."""
    fill_lake(home)
    with connect(home) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")
    write_training_set(home, TrainingSetRecord(SOURCE, "v1", rows.snapshot, rows.sha256))
    home.dbt_target.mkdir(parents=True)
    (home.dbt_target / "manifest.json").write_text("{}")

    def judged(_settings: Settings, _record: object, directory: CandidateDirectory) -> dict[str, Any]:
        gate = {"gate": "auc_reaches_floor", "passed": True, "message": "fine"}
        directory.write_judgement(Judgement(None, (gate,)))
        return {"model_name": MODEL_NAME, "model_version": 2}

    monkeypatch.setattr(single_training, "judge_and_register", judged)
    monkeypatch.setattr(single_training, "feature_contract", lambda *_, **__: CONTRACT)
    return home


def test_a_candidate_is_trained_once_and_beside_the_main_job(accepted: Settings) -> None:
    before, plan = read_training_set_record(accepted, SOURCE), _plan(family="logistic")

    found, again = run_training(accepted, plan), run_training(accepted, plan)

    assert (found.is_known, again.is_known) == (False, True)
    assert found.candidate == again.candidate
    assert read_training_set_record(accepted, SOURCE) == before
    assert not (accepted.candidates / SOURCE / "current").exists()
    lines = [*train_command.figure_lines(found), *train_command.outcome_lines(SOURCE, found, Outcome("waiting", "w"))]
    text = "\n".join(lines)
    assert "family   logistic" in text
    assert "exact reasons, directions of risk kept" in text
    assert "gates    1 of 1 passed" in text
    assert "outcome  w" in text
    assert RULE in text
    assert "or: `loanlake challenge start 2 --shadow --lender simulated --reason …` compares it" in text


def test_a_second_command_waits_for_the_first_and_finds_its_model(accepted: Settings) -> None:
    """The second trained for nothing and stopped at the bundle of the first, which "exists"."""
    plan, said = _plan(family="logistic"), Queue[str]()
    directory = run_training(accepted, plan).candidate
    with ThreadPoolExecutor(1) as second:
        with directory.turn():
            trained = second.submit(run_training, accepted, plan, said.put)
            assert "another process trains the same rows" in said.get(timeout=30)
            assert not trained.done()

        assert trained.result(timeout=30).is_known


def test_a_lender_without_a_training_set_is_told_how_to_get_one(home: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"no training set of source 'simulated' in this home: `loanlake run"):
        run_training(home, _plan())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--setting", "max_depth"], "must be NAME=VALUE like max_depth=3: found 'max_depth'"),
        (["--setting", "members=[a"], "must have a number, a text or a list as value: found 'members=[a'"),
        (["--half-life-months", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_an_option_that_cannot_be_read_is_named(arguments: list[str], text: str) -> None:
    done = CliRunner().invoke(train_command.train, [SOURCE, *arguments])

    assert done.exit_code == 2
    assert text in done.output
