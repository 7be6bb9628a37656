"""The command and the asset compare on the rows that the last run accepted; what is measured is tested with ``ml``."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from orchestration.comparison_command import compare
from orchestration.defs.comparison import running
from orchestration.defs.comparison.running import run_comparison
from orchestration.defs.training.candidates import TrainingSetRecord, write_training_set
from orchestration.lib.run_settings import RunSettings
from tests import model_factory
from tests.model_factory import CONTRACT, SOURCE
from warehouse.errors import ContractError, NotFoundError, SettingError
from warehouse.lake.connection import connect
from warehouse.settings import Settings

LOGGED: list[tuple[Mapping[str, bytes], Path]] = []


@pytest.fixture
def accepted(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose run accepted a training set at a snapshot that the lake has left."""
    snapshot = model_factory.fill_lake(home, 1_200)
    write_training_set(home, TrainingSetRecord(SOURCE, "v1", snapshot, "0" * 64))
    model_factory.fill_lake(home, 400)
    # reads dbt's manifest of a build
    monkeypatch.setattr(running, "feature_contract", lambda *_, **__: CONTRACT)
    # tests/integration/test_registry.py logs one in MLflow, which takes seconds to start
    monkeypatch.setattr(running, "log_comparison", lambda _, comparison, plots, page: LOGGED.append((plots, page)))
    return home


def test_a_comparison_is_shown_by_the_command_and_kept_by_the_asset(accepted: Settings) -> None:
    from orchestration.defs.comparison.assets import comparison

    done = CliRunner().invoke(compare, [SOURCE, "--families", "logistic,scorecard", "--folds", "2"])
    result = dg.materialize(
        [comparison],
        partition_key=SOURCE,
        resources={"run_settings": RunSettings(exclude=["purpose"])},
        run_config={
            "ops": {
                "models__comparison": {"config": {"families": ["logistic"], "imbalance": ["class_weights"], "folds": 3}}
            }
        },
    )

    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("logistic: AUC 0.")
    assert any(line.startswith("338 test loans (out of time)") for line in lines)
    rows = {line.split("  ")[0]: line for line in lines}
    assert {"logistic", "scorecard", "base rate"} <= rows.keys()
    assert "): " in rows["scorecard"]
    assert lines[-1].startswith("page ")
    metadata = result.asset_materializations_for_node("models__comparison")[0].metadata
    assert next(iter(metadata)) == "picture"
    assert str(metadata["picture"].value).startswith("![ranking](data:image/png;base64,")
    with connect(accepted) as con:
        found = con.execute(
            "select n_test, count(*), count(*) filter (settings like '%purpose%') from models.comparison "
            "group by comparison_id, n_test order by all desc"
        ).fetchall()
        folds = con.execute(
            "select model, count(*) from models.comparison_folds group by comparison_id, model order by all"
        ).fetchall()
    assert found == [(338, 3, 2), (338, 3, 0)]
    assert folds == [("logistic", 2), ("logistic", 3), ("logistic_class_weights", 3), ("scorecard", 2)]
    assert any(line.startswith("2 folds (as known then): ") for line in lines)
    assert [page.exists() and "ranking" in plots for plots, page in LOGGED] == [True, True]
    assert len(list((accepted.reports / "comparisons" / SOURCE).glob("*.html"))) == 2


def test_without_an_accepted_training_set_there_is_nothing_to_compare(home: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"`loanlake run simulated`"):
        run_comparison(home, SOURCE)


def test_a_family_that_is_none_is_named_before_any_row_is_read(home: Settings) -> None:
    with pytest.raises(SettingError, match="found 'forest'"):
        run_comparison(home, SOURCE, ("forest",))


def test_a_feature_that_is_none_is_named_before_any_row_is_read(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home has no lake, so reading rows would fail for another reason."""
    write_training_set(home, TrainingSetRecord(SOURCE, "v1", 1, "0" * 64))
    monkeypatch.setattr(running, "feature_contract", lambda *_, **__: CONTRACT)

    with pytest.raises(ContractError, match="found catboost, a family of models"):
        run_comparison(home, SOURCE, ("logistic",), exclude=("catboost",))
