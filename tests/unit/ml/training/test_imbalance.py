"""Defaults count as much as repaid loans among the rows that a model learns from, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Sample, StreamedSample
from ml.training import imbalance
from ml.training.design_matrix import DesignMatrix, EncodedFeature
from ml.training.fitting import TrainingSettings, train, training_settings_of
from ml.training.imbalance import balanced, class_weights, smote_refusal, with_invented_rows
from ml.training.lineage import collect_lineage
from ml.training.samples import Samples
from tests.model_factory import CONTRACT
from tests.unit.ml.small_training_set import small_training_set
from warehouse.errors import SettingError, TrainingSetError
from warehouse.lenders.lender import Lender, ModelSettings

NAN = float("nan")
MATRIX = DesignMatrix(
    ("income", "is_checked", "purpose"),
    (
        EncodedFeature("income", 0, "numeric"),
        EncodedFeature("is_checked", 1, "boolean"),
        EncodedFeature("purpose", 2, "categorical", values=("car", "flat", "other")),
    ),
)
LINE = TrainingSettings(model=LogisticRegression(), refit=True, half_life_months=12.0)
ROWS = small_training_set(1500)


def sample(n_good: int, bad: list[list[float]], weights: list[float] | None = None) -> Sample:
    """Repaid loans of income 0 and 100 in turn, and these defaults."""
    good = [[100.0 * (number % 2), 1, 1, 0, 0] for number in range(n_good)]
    return Sample(
        np.array([*good, *bad], dtype=np.float32),
        np.arange(n_good + len(bad)) >= n_good,
        None if weights is None else np.array(weights),
    )


def test_both_outcomes_weigh_the_same_and_newer_loans_keep_their_lead() -> None:
    weights = class_weights(np.array([True, True, False, False, False]), np.array([0.5, 1.5, 1.0, 1.0, 1.0]))

    assert weights == pytest.approx([0.625, 1.875, 5 / 6, 5 / 6, 5 / 6])
    assert weights.mean() == pytest.approx(1)


@pytest.mark.parametrize("how", ["class_weights", "smote"])
def test_balanced_rows_carry_the_level_from_before(how: Literal["class_weights", "smote"]) -> None:
    """Defaults weigh 3 of 12: log-odds learned from balanced rows are moved by ln(1/3)."""
    rows = sample(6, [[10.0, 1, 1, 0, 0], [30.0, 1, 1, 0, 0]], [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.0, 2.0])

    found = balanced(rows, how, MATRIX)

    assert (rows.natural_rate, rows.to_natural) == (None, 0)
    assert found.natural_rate == pytest.approx(3 / 12)
    assert isinstance(found, Sample)
    assert found.drawn(3).natural_rate == found.natural_rate
    if how == "class_weights":
        assert found.to_natural == pytest.approx(np.log(1 / 3))


def test_an_invented_row_lies_between_its_parents() -> None:
    bad = [[10.0, 0, 0, 1, 0], [30.0, 1, 0, 0, 1]]

    found = with_invented_rows(sample(20, bad), MATRIX)

    invented = found.matrix[22:]
    assert (len(invented), int(found.defaulted.sum()), found.weights) == (18, 20, None)
    assert (found.matrix[:22] == sample(20, bad).matrix).all()
    assert ((invented[:, 0] > 10) & (invented[:, 0] < 30)).all()
    # the nearer parent decides what has nothing between
    nearer_first = invented[:, 0] < 20
    assert 0 < nearer_first.sum() < 18
    assert (invented[nearer_first, 1:] == [0, 0, 1, 0]).all()
    assert (invented[~nearer_first, 1:] == [1, 0, 0, 1]).all()


def test_a_value_that_one_parent_lacks_is_the_nearer_ones_or_missing() -> None:
    bad = [[10.0, NAN, NAN, NAN, NAN], [NAN, NAN, 0, 0, 1]]

    invented = with_invented_rows(sample(40, bad), MATRIX).matrix[42:]

    missing = np.isnan(invented[:, 0])
    assert 0 < missing.sum() < len(invented)
    assert invented[~missing, 0] == pytest.approx(10)
    assert np.isnan(invented[:, 1]).all()
    assert np.isnan(invented[~missing, 2:]).all()
    assert (invented[missing, 2:] == [0, 0, 1]).all()


def test_the_weight_of_an_invented_row_is_between_its_parents() -> None:
    bad = [[10.0, 1, 1, 0, 0], [30.0, 1, 1, 0, 0]]

    found = with_invented_rows(sample(6, bad, [1, 1, 1, 1, 1, 1, 0.5, 1.5]), MATRIX)

    assert found.weights is not None
    assert found.weights.mean() == pytest.approx(1)
    share = (found.matrix[8:, 0] - 10) / 20
    assert found.weights[8:] / found.weights[0] == pytest.approx(0.5 + share, abs=1e-4)


@pytest.mark.parametrize("how", ["class_weights", "smote"])
def test_only_rows_that_are_learned_from_change(how: str) -> None:
    samples = Samples(ROWS, DesignMatrix.from_contract(CONTRACT), 12.0)
    changed = replace(samples, imbalance=how)  # type: ignore[arg-type]  # one of them

    assert changed.both.default_rate == pytest.approx(0.5, abs=0.05)
    assert (changed.tune.matrix.shape, changed.tune.weights) == (samples.tune.matrix.shape, None)
    assert changed.tune.default_rate == samples.tune.default_rate < 0.3


@pytest.mark.parametrize("how", ["class_weights", "smote"])
def test_calibration_repairs_the_level_and_the_baseline_stays(how: str) -> None:
    plain = train(ROWS, CONTRACT, LINE)
    settings = replace(LINE, imbalance=how)  # type: ignore[arg-type]  # one of them

    found, again = train(ROWS, CONTRACT, settings), train(ROWS, CONTRACT, settings)

    test = ROWS.rows("test")
    assert found.raw(test).mean() > plain.raw(test).mean() + 0.15
    assert found.probabilities(test).mean() == pytest.approx(plain.probabilities(test).mean(), abs=0.02)
    assert found.baselines["logistic"].model == plain.model
    assert found.model == again.model
    lineage = collect_lineage(found, ROWS, CONTRACT, by="tests")
    assert TrainingSettings.from_dict(lineage.settings) == settings
    assert ("imbalanced-learn" in lineage.packages) is (how == "smote")


def test_the_lenders_file_says_it() -> None:
    lender = Lender(Path("bank.yml"), model=ModelSettings(imbalance="class_weights"))

    assert training_settings_of(lender).imbalance == "class_weights"
    assert training_settings_of(Lender(Path("bank.yml"))).imbalance == "none"


def test_smote_is_refused_for_more_rows_than_it_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imbalance, "MOST_SMOTE_ROWS", 20)
    rows = sample(20, [[10.0, 0, 0, 1, 0]] * 2)
    frame = ROWS.rows("train")
    matrix = DesignMatrix.from_contract(CONTRACT)
    on_disk = StreamedSample(frame, matrix.encode, ROWS.defaulted("train"), tmp_path)

    assert smote_refusal(20) == ""
    with pytest.raises(SettingError, match="at most 20 rows, in memory: found 22; class_weights has no such limit"):
        balanced(rows, "smote", MATRIX)
    with pytest.raises(SettingError, match=f"found {len(frame):,}, on disk"):
        balanced(on_disk, "smote", matrix)
    assert balanced(on_disk, "class_weights", matrix).default_rate == pytest.approx(0.5)


def test_one_default_has_no_neighbour() -> None:
    with pytest.raises(TrainingSetError, match="found 1 in 11 rows"):
        with_invented_rows(sample(10, [[10.0, 0, 0, 1, 0]]), MATRIX)
