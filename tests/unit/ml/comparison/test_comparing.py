"""A whole comparison on a small lender: its figures are those of an evaluation, and the home stays as it was."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.bundle.scorer import Scorer
from ml.comparison.comparing import Comparison, Plan, compare_families, folds_of, plan_of
from ml.comparison.figures import ModelFigures, score_psi
from ml.comparison.serving_cost import feature_vectors, model_bytes
from ml.comparison.tables import write_comparison
from ml.judging.evaluation import BASE_RATE, Evaluation
from ml.registry.information_values import information_values
from ml.training.training_set import TrainingSet, read_training_set
from tests import model_factory
from tests.model_factory import CONTRACT, FAMILIES, SOURCE, shared_bundle
from tests.unit.ml.comparison.small_comparison import model_row, small_comparison
from warehouse.errors import SettingError
from warehouse.lake.connection import connect
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

TRAINING = {name: FAMILIES[name] for name in ("xgboost", "logistic", "scorecard")}
BALANCED = "logistic_class_weights"
PLAN = Plan(
    {**TRAINING, BALANCED: replace(FAMILIES["logistic"], imbalance="class_weights")},
    {},
    balanced={BALANCED: "logistic"},
    n_folds=2,
)


@dataclass(frozen=True)
class Compared:
    home: Settings
    rows: TrainingSet
    comparison: Comparison
    changed: set[Path]

    def row(self, model: str) -> ModelFigures:
        return next(row for row in self.comparison.models if row.model == model)


def _files(home: Settings) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.home.rglob("*") if path.is_file() and "lake" not in path.parts}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Families beside a champion that is the same trees."""
    home = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("compared") / "home")})
    model_factory.fill_lake(home)
    model_factory.publish_model(home)
    with connect(home) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")
    before = _files(home)
    comparison = compare_families(home, rows, CONTRACT, PLAN)
    after = _files(home)
    write_comparison(home, comparison)
    return Compared(home, rows, comparison, {path for path in before | after if before.get(path) != after.get(path)})


def test_each_family_the_champion_and_the_base_rate_are_measured(compared: Compared) -> None:
    assert [row.model for row in compared.comparison.models] == ["champion", *TRAINING, BALANCED, "base_rate"]
    assert [row.family for row in compared.comparison.models] == ["xgboost", *TRAINING, "logistic", None]
    assert compared.row(BALANCED).imbalance == "class_weights"


@pytest.mark.parametrize("family", ["xgboost", "scorecard"])
def test_the_figures_are_those_of_the_evaluation(compared: Compared, family: str) -> None:
    """Two ways to measure the same would be two truths."""
    expected = Evaluation.from_dict(shared_bundle(family=family).metrics).overall("test")

    row = asdict(compared.row(family))

    shared = {name: value for name, value in asdict(expected).items() if name in row}
    assert {"auc", "auc_low", "gini", "ks", "brier", "ece", "ece_by_chance", "log_loss", "cut_off"} <= shared.keys()
    assert {name: row[name] for name in shared} == shared


def test_the_base_rate_ranks_nothing(compared: Compared) -> None:
    row = compared.row(BASE_RATE)
    expected = Evaluation.from_dict(shared_bundle().metrics).base_rate

    assert (row.auc, row.brier, row.verdict) == (0.5, pytest.approx(expected.brier), "worse")
    assert (row.brier_resolution, row.training_seconds, row.score_psi) == (pytest.approx(0), None, None)


def test_a_family_equal_to_the_champion_is_no_gain(compared: Compared) -> None:
    """The champion was trained with the same rows and settings."""
    row = compared.row("xgboost")

    assert (row.auc_difference, row.auc_difference_low, row.auc_difference_high) == (0, 0, 0)
    assert (row.verdict, compared.row("champion").verdict) == ("no gain", None)
    assert (
        compared.comparison.finding.startswith("no gain: ")
        or "is better than the champion" in compared.comparison.finding
    )


@pytest.mark.parametrize(
    ("models", "finding"),
    [
        ([], "only the champion was measured"),
        (
            [("scorecard", -0.01, 0.02), ("logistic", -0.03, -0.01)],
            "no gain: no other model is better than the champion",
        ),
        ([("scorecard", 0.001, 0.003)], "scorecard is better than the champion: AUC +0.0020 (+0.0010 to +0.0030)"),
    ],
)
def test_a_gain_needs_an_interval_above_0(models: list[tuple[str, float, float]], finding: str) -> None:
    comparison = small_comparison(*(model_row(*each) for each in models))

    assert comparison.finding.startswith(finding)


def test_a_champion_of_other_features_is_named_in_the_finding() -> None:
    comparison = small_comparison()
    others = replace(
        comparison, models=(replace(comparison.models[0], feature_version="v1_bank"), *comparison.models[1:])
    )

    assert "the champion reads features v1_bank and the families v1" in others.finding
    assert "reads features" not in comparison.finding


def test_the_parts_of_each_brier_score_add_up(compared: Compared) -> None:
    for row in compared.comparison.models:
        parts = (row.brier_reliability, row.brier_resolution, row.brier_uncertainty)
        assert None not in parts
        assert parts[0] - parts[1] + parts[2] == pytest.approx(row.brier)  # type: ignore[operator]  # none is None


def test_every_figure_of_a_family_is_measured(compared: Compared) -> None:
    row = asdict(compared.row("scorecard"))

    of_balanced = {f"imbalance_auc_difference{part}" for part in ("", "_low", "_high")}
    assert {name for name, value in row.items() if value is None} == {"model_version", *of_balanced}
    assert (row["n_test_seen"], row["n_months"]) == (0, 7)
    assert 0 < row["score_microseconds"] < 50_000
    assert json.loads(row["settings"])["family"] == "scorecard"


def test_months_add_up_to_the_test(compared: Compared) -> None:
    months = [row for row in compared.comparison.months if row.model == "logistic"]

    assert [row.month.month for row in months] == [6, 7, 8, 9, 10, 11, 12]
    assert sum(row.n for row in months) == compared.comparison.occasion.n_test == len(compared.rows.rows("test"))
    assert sum(row.n_defaults for row in months) == compared.comparison.occasion.n_test_defaults


def test_outcomes_that_became_known_after_the_first_test_loan_are_counted(compared: Compared) -> None:
    """An outcome is known six months after the decision; the first test loan was decided in June 2021."""
    with connect(compared.home) as con:
        ((expected,),) = con.execute(
            "select count(*) from training.trn_default_v1 where split <> 'test' and decided_at + interval 6 months > "
            "(select min(decided_at) from training.trn_default_v1 where split = 'test')"
        ).fetchall()

    assert compared.comparison.occasion.n_known_later == expected
    assert expected > 400


def test_nothing_is_registered_served_or_left_behind(compared: Compared) -> None:
    assert compared.changed == set()


def test_the_lake_holds_the_comparison(compared: Compared) -> None:
    occasion = compared.comparison.occasion
    with connect(compared.home) as con:
        of_this = "where comparison_id = $1"
        rows = con.execute(
            "select model, auc, n_test, split_kind, lake_snapshot, compared_with, model_version from models.comparison "
            f"{of_this} order by model",
            [occasion.comparison_id],
        ).fetchall()
        ((n_months,),) = con.execute(
            f"select count(*) from models.comparison_months {of_this}", [occasion.comparison_id]
        ).fetchall()

    assert rows == [
        (row.model, row.auc, occasion.n_test, "out of time", compared.rows.snapshot, "champion", row.model_version)
        for row in sorted(compared.comparison.models, key=lambda row: row.model)
    ]
    assert n_months == len(compared.comparison.months) == 7 * 5


def test_without_a_champion_the_default_family_is_compared_with(home: Settings, compared: Compared) -> None:
    plan = Plan({name: FAMILIES[name] for name in ("scorecard", "logistic")}, {})

    found = compare_families(home, compared.rows, CONTRACT, plan)

    assert found.occasion.compared_with == "scorecard"
    assert [(row.model, row.verdict is None) for row in found.models] == [
        ("scorecard", True),
        ("logistic", False),
        ("base_rate", False),
    ]


def test_the_lenders_default_family_comes_first() -> None:
    lender = read_lender(SOURCE)
    scorecards = replace(lender, model=replace(lender.model, family="scorecard"))

    assert next(iter(plan_of(lender).training)) == "xgboost"
    assert list(plan_of(scorecards, ("logistic", "scorecard")).training) == ["scorecard", "logistic"]


def test_balanced_rows_spoil_the_raw_level_and_calibration_repairs_it(compared: Compared) -> None:
    plain, balanced = asdict(compared.row("logistic")), asdict(compared.row(BALANCED))

    assert balanced["raw_ece"] > 0.15 > plain["raw_ece"]
    assert balanced["ece"] < 0.1
    assert balanced["raw_mean_probability"] > balanced["mean_probability"] + 0.15
    low, high = balanced["imbalance_auc_difference_low"], balanced["imbalance_auc_difference_high"]
    assert low < balanced["auc"] - plain["auc"] < high
    assert balanced["imbalance_auc_difference"] == pytest.approx(balanced["auc"] - plain["auc"])


def test_folds_are_of_all_rows_in_time_and_their_mean_and_spread_stand_beside_the_test(compared: Compared) -> None:
    folds = [row for row in compared.comparison.folds if row.model == "scorecard"]
    row = compared.row("scorecard")

    assert (compared.comparison.occasion.fold_kind, compared.comparison.occasion.n_folds) == ("as known then", 2)
    assert {row.model for row in compared.comparison.folds} == {*TRAINING, BALANCED}
    assert (folds[0].decided_to or datetime.max) < (folds[1].decided_from or datetime.min)
    assert sum(fold.n for fold in folds) == pytest.approx(1000, abs=100)
    assert folds[1].decided_to == compared.rows.frame["decided_at"].max()
    aucs = [fold.auc or 0.0 for fold in folds]
    assert row.auc_fold_mean == pytest.approx(np.mean(aucs))
    assert row.auc_fold_spread == pytest.approx(abs(aucs[0] - aucs[1]) / 2**0.5)
    assert compared.row("champion").auc_fold_mean is None


def test_folds_and_information_values_are_in_the_lake(compared: Compared) -> None:
    of_this = [compared.comparison.occasion.comparison_id]
    with connect(compared.home) as con:
        folds = con.execute(
            "select model, number, auc, n_learned from models.comparison_folds where comparison_id = $1", of_this
        ).fetchall()
        values = con.execute(
            "select feature, information_value, n_bins, n, missing_share, model_name from models.information_values "
            "where comparison_id = $1",
            of_this,
        ).fetchall()

    assert sorted(folds) == sorted((row.model, row.number, row.auc, row.n_learned) for row in compared.comparison.folds)
    assert sorted(values) == sorted(
        (each.feature, each.information_value, each.n_bins, each.n, each.missing_share, None)
        for each in information_values(shared_bundle(family="scorecard"))
    )


def test_without_enough_defaults_there_are_no_folds_and_a_comparison_all_the_same(compared: Compared) -> None:
    frame = compared.rows.frame
    few = pd.concat([part.head(8) for _, part in frame.groupby(["split", "is_default"], observed=True)])
    rows = replace(compared.rows, frame=few)

    plan, reason, folds = folds_of(rows, CONTRACT, replace(PLAN, n_folds=5), lambda _: None)

    assert (plan, folds) == (None, ())
    assert "5 folds need about 32 defaults and as many repaid loans: found 24 defaults in 48 rows" in reason


def test_settings_of_imbalance_are_compared_with_the_first_family() -> None:
    lender = read_lender(SOURCE)

    plan = plan_of(lender, ("scorecard", "logistic"), imbalance=("smote", "class_weights"), n_folds=3)

    assert list(plan.training) == ["scorecard", "logistic", "scorecard_smote", "scorecard_class_weights"]
    assert plan.balanced == {"scorecard_smote": "scorecard", "scorecard_class_weights": "scorecard"}
    assert plan.training["scorecard_smote"] == replace(plan.training["scorecard"], imbalance="smote")
    assert (plan.n_folds, plan.is_dated) == (3, True)
    with pytest.raises(SettingError, match="one of none, class_weights, smote: found 'adasyn'"):
        plan_of(lender, imbalance=("adasyn",))


@pytest.mark.parametrize("n_folds", [1, -1])
def test_folds_that_cannot_be_are_refused_before_any_training(n_folds: int) -> None:
    """All families were trained on the test loans first, for minutes."""
    with pytest.raises(SettingError, match=f"must be 0, for none, or at least 2: found {n_folds}"):
        plan_of(read_lender(SOURCE), n_folds=n_folds)


def test_a_model_that_the_rows_do_not_allow_is_left_out(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.training.imbalance.MOST_SMOTE_ROWS", 100)
    smote = replace(FAMILIES["logistic"], imbalance="smote")

    plan = Plan({"logistic": FAMILIES["logistic"], "logistic_smote": smote}, {}).possible(compared.rows)

    assert list(plan.training) == ["logistic"]
    assert plan.left_out["logistic_smote"].startswith("imbalance smote learns from at most 100 rows, in memory: found ")
    with pytest.raises(SettingError, match="imbalance smote learns from at most 100 rows"):
        Plan({"logistic": smote}, {}).possible(compared.rows)


def test_timed_rows_are_those_that_the_model_was_measured_on(compared: Compared) -> None:
    scorer = Scorer(shared_bundle())
    test_rows = compared.rows.rows("test")

    vectors = feature_vectors(scorer, test_rows, most=len(test_rows))

    encoded = np.concatenate([scorer.bundle.design_matrix.encode_row(vector) for vector in vectors])
    assert encoded.tobytes() == scorer.bundle.design_matrix.encode(test_rows).tobytes()
    assert len(feature_vectors(scorer, test_rows, most=10)) == 10


def test_a_models_size_is_that_of_its_own_files() -> None:
    bundle = shared_bundle(family="scorecard")

    assert model_bytes(bundle) == sum(
        (bundle.directory / name).stat().st_size for name in ("scorecard.json", "scorecard.csv", "scorecard.html")
    )


def test_psi_is_monitorings() -> None:
    """Ten equal bins of 100 train rows; all 100 test rows are in the last: shares (n + .5) / 105."""
    train, test = np.arange(100) / 100, np.full(100, 0.995)
    full, one, none = 100.5 / 105, 10.5 / 105, 0.5 / 105

    assert score_psi(train, train) == pytest.approx(0)
    assert score_psi(train, test) == pytest.approx((full - one) * log(full / one) + 9 * (none - one) * log(none / one))
