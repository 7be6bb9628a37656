"""A whole comparison on a small lender: its figures are those of an evaluation, and the home stays as it was."""

import json
from dataclasses import asdict, dataclass, replace
from math import log
from pathlib import Path

import numpy as np
import pytest

from ml.bundle.scorer import Scorer
from ml.comparison.comparing import Comparison, Plan, compare_families, plan_of
from ml.comparison.figures import ModelFigures, score_psi
from ml.comparison.serving_cost import feature_vectors, model_bytes
from ml.comparison.tables import write_comparison
from ml.judging.evaluation import BASE_RATE, Evaluation
from ml.training.training_set import TrainingSet, read_training_set
from tests import model_factory
from tests.model_factory import CONTRACT, FAMILIES, SOURCE, shared_bundle
from tests.unit.ml.comparison.small_comparison import model_row, small_comparison
from warehouse.lake.connection import connect
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

TRAINING = {name: FAMILIES[name] for name in ("xgboost", "logistic", "scorecard")}


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
    comparison = compare_families(home, rows, CONTRACT, Plan(TRAINING, {}))
    after = _files(home)
    write_comparison(home, comparison)
    return Compared(home, rows, comparison, {path for path in before | after if before.get(path) != after.get(path)})


def test_each_family_the_champion_and_the_base_rate_are_measured(compared: Compared) -> None:
    assert [row.model for row in compared.comparison.models] == ["champion", *TRAINING, "base_rate"]
    assert [row.family for row in compared.comparison.models] == ["xgboost", *TRAINING, None]


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

    assert {name for name, value in row.items() if value is None} == {"model_version"}
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
    assert n_months == len(compared.comparison.months) == 7 * 4


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
