"""A search of a few trials: test rows have no part, a kill loses and repeats nothing, limits and budgets hold."""

import builtins
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.families.linear.logistic import LogisticRegression
from ml.search.results import SearchLimits, SearchResult
from ml.search.searching import Budget, search
from ml.search.study import require_optuna
from ml.training.training_set import TrainingSet
from tests.model_factory import CONTRACT, SETTINGS
from tests.unit.ml.small_training_set import small_training_set
from warehouse.errors import RunRefused, SettingError
from warehouse.files.turns import file_turn
from warehouse.settings import REPOSITORY

LINE = replace(SETTINGS, model=LogisticRegression(), refit=False, half_life_months=None, calibration="platt")
N_TRIALS = 5
#: Searches as :func:`searched` does, and hangs in the n-th fold of a trial.
_KILLED = """
import sys, time
from pathlib import Path
import ml.search.searching as searching
from tests.unit.ml.search.test_searching import N_TRIALS, searched

measure, n_left = searching.score_fold, int(sys.argv[2])

def hang(*arguments):
    global n_left
    n_left -= 1
    if n_left == 0:
        print("hangs", flush=True)
        time.sleep(60)
    return measure(*arguments)

searching.score_fold = hang
searched(Path(sys.argv[1]), report=lambda trial, best: print(trial.number, flush=True))
"""


def searched(directory: Path, training_set: TrainingSet | None = None, **options: Any) -> SearchResult:
    options = {"budget": Budget(trials=N_TRIALS), **options}
    return search(directory, training_set or small_training_set(1500), CONTRACT, LINE, is_dated=True, **options)


def drawn(result: SearchResult) -> list[tuple[dict[str, float], list[float], bool]]:
    """What a trial was and gave, without its number and times."""
    return [(dict(trial.values), [fold.log_loss for fold in trial.folds], trial.is_pruned) for trial in result.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return searched(tmp_path_factory.mktemp("search"))


def test_the_first_trial_is_the_lender_s_settings_and_the_best_is_no_worse(undisturbed: SearchResult) -> None:
    first, best = undisturbed.trials[0], undisturbed.best

    assert first.is_default
    assert first.settings == LINE
    assert best is not None
    assert best.log_loss <= first.log_loss
    assert undisturbed.stopped == f"{N_TRIALS} trials"


def test_a_label_planted_in_the_test_rows_changes_nothing(undisturbed: SearchResult, tmp_path: Path) -> None:
    original = small_training_set(1500)
    planted = original.frame.copy()
    of_test = (planted["split"] == "test").to_numpy()
    planted["loan_to_income"] = np.where(of_test, planted["is_default"] * 9.0, planted["loan_to_income"])
    planted.loc[of_test, "is_default"] = ~planted.loc[of_test, "is_default"]

    found = searched(tmp_path, replace(original, frame=planted, sha256="f" * 64))

    assert found.search_id != undisturbed.search_id
    assert drawn(found) == drawn(undisturbed)
    assert found.importance == undisturbed.importance


def test_a_search_killed_twice_goes_on_and_measures_nothing_twice(undisturbed: SearchResult, tmp_path: Path) -> None:
    reported: list[int] = []
    for n_folds in (7, 10):
        command = [sys.executable, "-c", _KILLED, str(tmp_path), str(n_folds)]
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == "hangs":
                    process.kill()
                    break
                reported.append(int(line))
    survived = searched(tmp_path, budget=Budget(trials=1)).trials

    found = searched(tmp_path, report=lambda trial, best: reported.append(trial.number))

    assert 0 < len(survived) < N_TRIALS
    assert found.trials[: len(survived)] == survived
    assert reported == [trial.number for trial in found.trials]
    # two trials were interrupted, and drawn again under other numbers
    assert found.trials[-1].number == N_TRIALS - 1 + 2
    assert drawn(found) == drawn(undisturbed)


def test_several_processes_measure_as_one(undisturbed: SearchResult, tmp_path: Path) -> None:
    found = searched(tmp_path, workers=2, budget=Budget(trials=3))

    assert len(found.trials) == 3
    assert drawn(found)[0] == drawn(undisturbed)[0]
    assert found.importance == undisturbed.importance


def test_a_limit_of_features_keeps_the_present_settings_from_being_the_best(tmp_path: Path) -> None:
    found = searched(tmp_path, limits=SearchLimits(most_features=5))

    assert found.trials[0].missed == ("features",)
    assert found.best is not None
    assert found.best.n_features <= 5
    assert found.best.n_features == len(CONTRACT.features) - len(found.best.left_out)


def test_a_budget_of_processor_time_ends_after_the_trial_that_uses_it_up(tmp_path: Path) -> None:
    found = searched(tmp_path, budget=Budget(trials=N_TRIALS, processor_minutes=1e-6))

    assert (len(found.trials), found.stopped) == (1, "1e-06 processor minutes")


def test_a_search_under_way_elsewhere_is_refused(undisturbed: SearchResult, tmp_path: Path) -> None:
    with (
        file_turn(tmp_path / f"{undisturbed.search_id}.lock"),
        pytest.raises(RunRefused, match="under way in another process"),
    ):
        searched(tmp_path)


def test_without_optuna_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return original(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SettingError, match=r"pip install 'loanlake\[search\]'"):
        require_optuna()


@pytest.mark.parametrize("what", [{"trials": 0}, {"minutes": 0.0}, {"processor_minutes": -1.0}])
def test_a_budget_of_nothing_is_refused(what: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="must be above 0"):
        Budget(**what)
