"""An ensemble: weights that tune rows decide, and members that stay what they would be alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.families.ensemble import Ensemble, EnsembleModel, Member, ReadEnsemble, Weighted, Weights
from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Sample
from tests.unit.ml.small_samples import TRAIN, TUNE, small_sample
from warehouse.errors import SettingError

FREE = (0, 0, 0)
LINE, STIFF = Member("logistic"), Member("logistic", {"l2": 1e5})
TREES = Member("xgboost", {"max_trees": 40, "learning_rate": 0.1, "max_depth": 3, "patience": 10})


class _Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def raw_scores(self, matrix: np.ndarray) -> np.ndarray:
        return np.full(len(matrix), self.value, dtype=np.float32)


def test_a_score_is_the_intercept_and_each_members_slope_times_its_raw_score() -> None:
    weights = Weights(0.5, (Weighted("a", 0.75, 2.0), Weighted("b", 0.0, 0.0), Weighted("c", 0.25, 4.0)))

    model = ReadEnsemble(weights, (_Constant(-1.0), _Constant(0.25)))

    # 0.5 - 1 × 2 + 0.25 × 4; b has no part in it
    assert model.raw_scores(np.zeros((2, 3), dtype=np.float32)).tolist() == [-0.5, -0.5]


def test_weights_of_a_mean_sum_to_one_and_favour_the_member_that_knows_more() -> None:
    """The second column's risk is U-shaped: a line knows nothing of it, trees do."""
    weights = _fitted(Ensemble((LINE, TREES), l2=0)).weights

    line, trees = (member.weight for member in weights.members)
    assert line + trees == pytest.approx(1)
    assert trees > 0.8


def test_a_strong_ridge_makes_the_weights_of_a_mean_equal() -> None:
    assert [member.weight for member in _fitted(Ensemble((LINE, TREES), l2=1e9)).weights.members] == [
        pytest.approx(0.5, abs=1e-6)
    ] * 2


@pytest.mark.parametrize("method", ["mean", "stacking"])
def test_a_member_that_ranks_the_wrong_way_has_no_weight_and_no_files(method: str, tmp_path: Path) -> None:
    """It would be negative; a sum with it would break the directions of risk."""
    upside_down = Sample(TRAIN.matrix, ~TRAIN.defaulted)
    ensemble = Ensemble((TREES, LINE), method=method)
    wrong = LogisticRegression().fit(upside_down, TUNE, FREE)

    model = _weighed(ensemble, {"logistic": wrong})
    model.write(tmp_path, ("a", "b", "c"))

    assert [member.weight > 0 for member in model.weights.members] == [True, False]
    assert sorted(path.name for path in (tmp_path / "members").iterdir()) == ["0"]
    assert Ensemble.open(tmp_path).raw_scores(TUNE.matrix).tobytes() == model.raw_scores(TUNE.matrix).tobytes()


def test_the_weights_are_fitted_on_tune_rows_alone_and_stay_when_members_learn_again() -> None:
    ensemble, both = Ensemble((LINE, TREES)), small_sample(4500, seed=5)
    first = ensemble.fit(TRAIN, TUNE, FREE)

    again = ensemble.refit(first, both, FREE)

    assert again.weights == first.weights
    assert again.members["logistic"] == LogisticRegression().fit(both, TUNE, FREE)
    other_tune = ensemble.fit(TRAIN, small_sample(1500, seed=6), FREE)
    assert other_tune.weights != first.weights
    assert other_tune.members["logistic"] == first.members["logistic"]


def test_its_members_are_named_and_kept_with_all_their_settings() -> None:
    ensemble = Ensemble((LINE, "xgboost", STIFF))

    assert list(ensemble.built()) == ["logistic", "xgboost", "logistic_2"]
    assert ensemble.members[0] == Member("logistic", {"l2": 100.0, "cut": 0.001})
    assert replace(ensemble, members=ensemble.members) == ensemble


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (("logistic",), "two members or more: found 1"),
        (("logistic", LINE), "must differ in family or settings: found twice logistic"),
        (("logistic", "forest"), "must be one of .*: found 'forest'"),
        (("logistic", "ensemble"), "a member of an ensemble must be one of .*: found 'ensemble'"),
        (("logistic", "hazard"), "hazard cannot be a member of an ensemble: it learns from loans .* so name xgboost"),
        (
            (LINE, Member("xgboost", {"l3": 1})),
            "the member xgboost: l3 must be a setting of xgboost",
        ),
        ((LINE, Member("logistic", {"l2": -1.0})), "l2 must be above 0"),
        (
            (LINE, Member("xgboost", {"max_depth": "deep"})),
            "max_depth must be a whole number: found 'deep'",
        ),
    ],
)
def test_members_that_cannot_be_added_are_refused(members: tuple[Member | str, ...], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Ensemble(members)


@pytest.mark.parametrize("settings", [{"method": "median"}, {"l2": -1.0}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(settings))} must be"):
        Ensemble((LINE, TREES), **settings)  # type: ignore[arg-type]  # wrong ones too


def _fitted(ensemble: Ensemble) -> EnsembleModel:
    return ensemble.fit(TRAIN, TUNE, FREE)


def _weighed(ensemble: Ensemble, given: dict[str, object]) -> EnsembleModel:
    return ensemble.weighed({**_fitted(ensemble).members, **given}, TUNE)  # type: ignore[arg-type]  # stand-ins
