"""The main path on a small simulated lender, and everything that must stop it, on one home.

One home for the module, since a run takes most of a minute: the first tests read what the run left, the others plant a
fault each and undo it. They run in the order they are written in.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from ml.bundle.bundle import Bundle, load_bundle
from ml.families.linear.logistic import LogisticRegression
from ml.judging.gates import LoggedFeaturesEqualRecomputed
from ml.monitoring.drift_figures import SCORE, read_drift
from ml.pages.document import Document, read_kept
from ml.registry.registered_version import get_version, load_registered
from ml.training.fitting import TrainingSettings
from orchestration.defs.pipeline.jobs import MAIN_PATH
from orchestration.defs.training import steps as training
from orchestration.defs.training.candidates import current_candidate
from orchestration.lib.layers import (
    CANDIDATE,
    DATA_CHECKS,
    DECISION_HISTORY,
    EVALUATION,
    REGISTERED_MODEL,
    TRAINING_SET,
)
from orchestration.running.instance import prepare_dagster_home
from orchestration.search_command import search
from tests import small_lender
from tests.bytes_of_home import open_to_others
from tests.dbt_runs import dbt
from tests.small_lender import LENDER, Home, judge_by_what_decides
from warehouse.errors import GateRefusal
from warehouse.figures.published import read_figures
from warehouse.settings import DBT_PROJECT_DIR, REPOSITORY, Settings

pytestmark = pytest.mark.slow

WRONG_WHEN_SERVED = LoggedFeaturesEqualRecomputed.name
CONTRACT_CHECK = dg.AssetSelection.checks(
    dg.AssetCheckKey(dg.AssetKey(["features", "ftr_application_v1"]), "rows_keep_the_contract")
)
#: Of monitoring, only what is built with the tables.
WITHOUT_MONITORING = MAIN_PATH - (
    dg.AssetSelection.groups("portfolio", "monitoring") - dg.AssetSelection.assets(DECISION_HISTORY, *DATA_CHECKS)
)
MODEL_PATH = (
    dg.AssetSelection.assets(TRAINING_SET).downstream() - dg.AssetSelection.groups("monitoring")
).materializable()


@pytest.fixture(scope="module")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, give_parse: Callable[[Settings], None]
) -> Iterator[tuple[Home, dg.ExecuteInProcessResult]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "LOANLAKE_DEFAULT_LENDER"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(tmp_path_factory.mktemp("main") / "home"))
        settings = Settings.from_environment()
        os.umask(0o022)  # as in most shells
        give_parse(settings)
        patch.setenv("DAGSTER_HOME", str(prepare_dagster_home(settings)))
        patch.setattr(training, "run_gates", judge_by_what_decides)
        with dg.DagsterInstance.get() as instance:
            home = Home(settings, instance)
            yield home, home.run(MAIN_PATH)


@pytest.fixture
def home(first_run: tuple[Home, dg.ExecuteInProcessResult]) -> Home:
    return first_run[0]


def materialised(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Metadata of each materialised asset."""
    return {
        event.asset_key.to_user_string(): {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations() if not check.passed}


def failure(result: dg.ExecuteInProcessResult, step: str) -> str:
    [event] = [event for event in result.all_events if event.is_step_failure and event.step_key == step]
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error else ""


def auc_on_test(bundle: Bundle, model: str) -> float:
    [found] = [
        row["auc"]
        for row in bundle.metrics["measured"]
        if (row["split"], row["month"], row["model"]) == ("test", None, model)
    ]
    return float(found)


def test_files_become_a_served_model_and_scores(first_run: tuple[Home, dg.ExecuteInProcessResult]) -> None:
    home, result = first_run

    assert result.success, failed_checks(result)
    assert json.loads(home.served)["model_name"] == "default_risk_simulated"
    [(n_rows, n_ids)] = home.rows("select count(*), count(distinct decision_id) from serving.predictions")
    assert n_rows == n_ids > 0
    [(n_months,)] = home.rows("select count(*) from monitoring.score_drift")
    assert n_months > 0
    [drift] = read_drift(home.settings, "simulated")
    newest = f"from monitoring.feature_drift where month = '{drift.month}'"
    measured: dict[str, float] = dict(home.rows(f"select feature, psi {newest}"))
    published = {figure.feature: figure.psi for figure in drift.figures}
    assert published == pytest.approx(measured | {SCORE: published[SCORE]})
    assert len(measured) > 40
    figures = read_figures(home.settings)
    assert figures is not None
    assert figures.not_built == ()
    found = {figure.name: len(figure.series) for figure in figures.figures}
    assert found["loan_data_rows"] == 4  # kinds of data
    assert found["loan_model_performance"] > 0
    assert found["loan_portfolio_decisions"] > 0
    assert list(home.settings.reports.glob("drift/*/*.html"))


def test_a_run_writes_nothing_that_other_users_can_read(home: Home) -> None:
    """Catalog, landing files, candidates and MLflow's store were readable by every user of the machine."""
    ours = "pyfunc_model.py"  # our own code, which MLflow copies with its mode
    assert [path for path in open_to_others(home.settings.home) if not path.endswith(ours)] == []


def test_what_people_want_to_look_at_is_in_the_metadata(first_run: tuple[Home, dg.ExecuteInProcessResult]) -> None:
    home, found = first_run[0], materialised(first_run[1])

    assert found["raw/simulated_applications"]["rows_loaded"] == 4_000
    assert found["core/int_applications"]["dagster/row_count"] == 4_000
    for plot in ("roc", "calibration", "feature importance", "score distribution"):
        assert found["model/evaluation"][plot].startswith(f"![{plot.replace(' ', '_')}](data:image/png;base64,")
    assert found["model/registered_model"]["MLflow model"].endswith(
        "/#/models/default_risk_simulated/versions/1?workflowType=machine_learning"
    )
    page = found["model/evaluation"]["figures and plots"].removeprefix("http://127.0.0.1:8050/")
    assert (home.settings.reports / page).is_file()
    assert "/drift/default_risk_simulated-1/" in found["monitoring/drift_report"]["reports"]


def test_pages_are_prepared_from_what_the_run_measured(home: Home) -> None:
    prepared = {name: read_kept(home.settings, LENDER, name, Document) for name in ("monitoring", "portfolio")}

    figures = {
        getattr(figure, "name", ""): figure
        for document in prepared.values()
        if document is not None
        for section in document.sections
        for figure in section.figures
    }
    [[n_features]] = home.rows("select count(distinct feature) from monitoring.feature_drift")
    assert len(figures["drift-map"].rows) == n_features  # type: ignore[union-attr]  # a heat map
    assert {"scores-bins", "vintage-default-share", "roll-matrix", "herfindahl"} <= figures.keys()


def test_the_analyses_of_the_dbt_project_return_rows(
    home: Home, tmp_path: Path, start_from_parse: Callable[[Path], None]
) -> None:
    start_from_parse(tmp_path)
    done = dbt("compile", "--target", "prod", "--select", "path:analyses", target=tmp_path, logs=tmp_path)
    assert done.returncode == 0, done.stdout
    compiled = {path.stem: path.read_text() for path in tmp_path.glob("compiled/loanlake/analyses/*.sql")}
    # as --vars '{least_decisions: 20}' would, for which dbt parses the whole project again
    of_many = compiled["segments_gone_wrong"]
    compiled["segments_gone_wrong"] = of_many.replace("n_matured >= 100", "n_matured >= 20")
    assert compiled["segments_gone_wrong"] != of_many

    found = {name: home.rows(query) for name, query in compiled.items()}

    assert set(found) == {path.stem for path in (DBT_PROJECT_DIR / "analyses").glob("*.sql")}
    assert [name for name, rows in found.items() if not rows] == []
    assert {row[2] for row in found["feature_to_statements"]} == {row[3] for row in found["feature_to_statements"]}
    shared = [row for row in found["feature_versions_compared"] if not row[2]]
    assert {row[5] for row in shared} == {0}


def test_the_worked_notebook_runs_and_writes_nothing(home: Home) -> None:
    before = home.rows("from lake.current_snapshot()")

    done = subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "examples" / "look_into_the_lake.py"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "features in both versions, 4000 applications: 0 values differ" in done.stdout
    counted = re.findall(r"logged (\w+), counted again (\w+)", done.stdout)
    assert counted
    assert all((0 if logged == "None" else int(logged)) == int(again) for logged, again in counted)
    assert "by year of the decision:" in done.stdout
    assert home.rows("from lake.current_snapshot()") == before


def test_a_second_run_builds_trains_publishes_and_scores_nothing(home: Home) -> None:
    served, predictions = home.served, home.rows("select count(*) from serving.predictions")

    result = home.run(WITHOUT_MONITORING)

    assert result.success
    found = materialised(result)
    for table in ("raw/quarantine", "core/int_applications", "features/ftr_application_v1", "training/trn_default"):
        assert found[table]["summary"].startswith("unchanged: ")
    assert found["core/int_applications"]["dagster/row_count"] == 4_000
    assert found["model/candidate"]["trained"] == "before, from the same rows, features and settings"
    assert (home.served, home.rows("select count(*) from serving.predictions")) == (served, predictions)


def test_a_search_goes_from_the_command_to_a_registered_version(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lender's present settings are a ridge so strong that nearly any other trial is better."""
    strong = replace(TrainingSettings(), model=LogisticRegression(l2=1e7))
    monkeypatch.setattr("orchestration.defs.training.searching.training_settings_of", lambda *_, **__: strong)
    served, candidate = home.served, current_candidate(home.settings, LENDER).fingerprint

    done = CliRunner().invoke(search, [LENDER, "--trials", "4"], catch_exceptions=False)

    assert done.exit_code == 0, done.output
    trials = home.rows("select trial, log_loss from models.search_trials order by log_loss")
    assert len(trials) == 4
    [line] = [line for line in done.output.splitlines() if line.startswith("model  default_risk_simulated version ")]
    assert line.endswith("not served")  # passed, or refused: so few loans decide nothing here
    registered = get_version(home.settings, LENDER, int(line.split()[3].rstrip(":")))
    best = home.rows("select fingerprint from models.search_trials where is_best")
    assert best == [(registered.fingerprint,)]
    bundle = load_registered(home.settings, LENDER, registered.version)
    assert bundle.lineage.family == "logistic"
    assert bundle.lineage.settings["model"]["l2"] < 1e7
    assert (home.served, current_candidate(home.settings, LENDER).fingerprint) == (served, candidate)


def test_a_candidate_of_another_version_and_family_is_compared_with_the_champion_on_the_champions_features(
    home: Home,
) -> None:
    served = home.served
    assert json.loads(served)["feature_version"] == "v2"

    training = dg.AssetSelection.assets(TRAINING_SET, CANDIDATE, EVALUATION)
    result = home.run(training, feature_version="v1", family="logistic")
    unknown = home.run(dg.AssetSelection.assets(TRAINING_SET), feature_version="v9")

    found = materialised(result)
    assert found["training/training_set"]["features"] == "v1"
    assert "trn_default_v1 at (version" in found["training/training_set"]["read it again"]
    bundle = load_bundle(current_candidate(home.settings, "simulated").bundle)
    assert (bundle.feature_version, bundle.lineage.feature_version) == ("v1", "v1")
    assert (bundle.lineage.family, bundle.lineage.family_choice) == ("logistic", None)
    champion = load_bundle(home.settings.home / json.loads(served)["bundle"])
    assert auc_on_test(bundle, "champion") == auc_on_test(champion, "candidate")
    assert "has no version v9: the dbt project has v1, v2" in failure(unknown, "training__training_set")
    assert home.served == served


def test_a_row_that_breaks_the_contract_stops_training(home: Home) -> None:
    served = home.served
    broken = "application_id = (select min(application_id) from features.ftr_application_v1)"
    [(amount,)] = home.rows(f"select requested_amount from features.ftr_application_v1 where {broken}")
    home.write(f"update features.ftr_application_v1 set requested_amount = -1 where {broken}")
    try:
        result = home.run(CONTRACT_CHECK | dg.AssetSelection.groups("training") | MODEL_PATH)
        later = home.run(dg.AssetSelection.assets(TRAINING_SET, CANDIDATE))
    finally:
        home.write(f"update features.ftr_application_v1 set requested_amount = {amount} where {broken}")
        mended = home.run(CONTRACT_CHECK)

    assert list(failed_checks(result)) == ["rows_keep_the_contract"]
    assert materialised(result) == {}
    assert home.rows("select column_name, n_failed from monitoring.contract_violations") == [("requested_amount", 1)]
    assert "features/ftr_application_v1:rows_keep_the_contract failed" in failure(later, "training__training_set")
    assert materialised(later) == {}
    assert home.served == served
    assert mended.success


def test_a_refused_candidate_says_why_everywhere_and_is_not_published(home: Home) -> None:
    """A model of one feature loses to the champion."""
    from ml.rollout.promotion import promote
    from orchestration.lib.feature_versions import feature_contract

    served = home.served
    features = feature_contract(home.settings).feature_names

    result = home.run(MODEL_PATH, exclude=[name for name in features if name != "region_relative_default_rate"])

    refused = failed_checks(result)
    assert "no_worse_than_champion_out_of_time" in refused
    lender, _, message = str(refused["no_worse_than_champion_out_of_time"].description).partition(": ")
    assert (lender, bool(message)) == (LENDER, True)
    assert "serving/deployment" not in materialised(result)
    assert home.served == served
    version = current_candidate(home.settings, "simulated").read_registration()["model_version"]  # type: ignore[index]
    in_lake = dict(
        home.rows(f"select gate, message from monitoring.gate_results where model_version = {version} and not passed")
    )
    assert in_lake["no_worse_than_champion_out_of_time"] == message
    registered = get_version(home.settings, "simulated", version)
    assert set(registered.refused_by) == set(refused)
    assert message in registered.gate_messages
    with pytest.raises(GateRefusal, match="no_worse_than_champion_out_of_time"):
        promote(home.settings, version, source="simulated", by="test")


def test_a_candidate_refused_for_what_is_served_is_judged_again_once_that_is_mended(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows, features and settings are what they were: it must not be passed over as made before."""
    monkeypatch.setattr(small_lender, "DECIDING", {WRONG_WHEN_SERVED})
    path = dg.AssetSelection.assets(CANDIDATE, EVALUATION, REGISTERED_MODEL)
    home.write("""
        insert into serving.decision_features_v2 by name
        select * replace ('served-wrong' as decision_id, 1.5 as requested_amount) from serving.decision_features_v2
        where decision_id = (select min(decision_id) from serving.predictions)""")
    home.write("""
        insert into serving.predictions by name
        select * replace ('served-wrong' as decision_id, 'online' as route, now()::timestamp as ingested_at)
        from serving.predictions where decision_id = (select min(decision_id) from serving.predictions)""")

    home.run(path, exclude=["lender_grade"])
    refused = current_candidate(home.settings, "simulated")
    judged, registered = refused.read_judgement(), refused.read_registration()
    again = home.run(path, exclude=["lender_grade"])
    unchanged = refused.read_registration()
    home.write("delete from serving.predictions where decision_id = 'served-wrong'")
    mended = home.run(path, exclude=["lender_grade"])

    assert judged is not None
    assert judged.refused == (WRONG_WHEN_SERVED,)
    assert "1 of 1 online decisions differ (requested_amount" in failed_checks(again)[WRONG_WHEN_SERVED].description
    assert unchanged == registered
    assert failed_checks(mended) == {}
    assert materialised(mended)["model/candidate"]["fingerprint"] == refused.fingerprint
    assert materialised(mended)["model/candidate"]["trained"].startswith("before")
    version = materialised(mended)["model/registered_model"]["model_version"]
    assert registered is not None
    assert version == registered["model_version"]
    assert get_version(home.settings, "simulated", version).refused_by == ()


def test_a_failing_dbt_test_stops_training_in_its_run_and_in_the_next(home: Home) -> None:
    """dagster#25112: the next run, which does not include the dbt step, must hear of it too.

    The last test of this home, whose training rows are not built again.
    """
    served = home.served
    check = "never_before_int_outcome_versions_outcome_at__known_at"
    tables = dg.AssetSelection.assets("staging/stg_simulated__outcomes").downstream()
    tables &= dg.AssetSelection.groups("staging", "core", "training")
    one = "application_id = (select min(application_id) from raw.simulated_outcomes)"
    [(known_at,)] = home.rows(f"select known_at from raw.simulated_outcomes where {one}")
    home.write(f"update raw.simulated_outcomes set known_at = '2000-01-01 00:00:00' where {one}")
    try:
        result = home.run(tables | MODEL_PATH)
        later = home.run(dg.AssetSelection.assets(TRAINING_SET, CANDIDATE))
    finally:
        home.write(f"update raw.simulated_outcomes set known_at = '{known_at}' where {one}")
        mended = home.run(tables - dg.AssetSelection.groups("training"))

    assert list(failed_checks(result)) == [check]
    assert not {"training/trn_default", "training/training_set"} & materialised(result).keys()
    assert f"core/int_outcome_versions:{check} failed" in failure(later, "training__training_set")
    assert materialised(later) == {}
    assert home.served == served
    assert mended.success
