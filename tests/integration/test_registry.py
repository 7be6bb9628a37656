"""MLflow's side of a model: registered once, refused with reasons, promoted, taken back, served by MLflow itself."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from ml.bundle.bundle import Bundle, load_bundle
from ml.bundle.scorer import Scorer
from ml.commands import approve as approve_command
from ml.commands import end_challenge, move_canary, start_canary, start_challenge
from ml.commands import promote as promote_command
from ml.comparison.tracking import log_comparison
from ml.judging.evaluation import Evaluation, evaluate
from ml.judging.gate import GateResult
from ml.registry import registry
from ml.registry.approval import approve_once
from ml.registry.deployment import read_deployment, read_history
from ml.registry.live_models import live_models
from ml.registry.registered_version import RegisteredVersion, list_versions, load_registered, record_version
from ml.registry.tracking import SILENT, open_client
from ml.rollout.challenge import challenge
from ml.rollout.promotion import archive, promote, promote_approved, rollback
from ml.search.tracking import log_search
from ml.training.training_set import TrainingSet
from tests import model_factory
from tests.altered_bundle import approve_everybody
from tests.free_ports import free_port
from tests.model_factory import CONTRACT, MODEL_NAME, SOURCE
from tests.unit.ml.comparison.small_comparison import model_row, small_comparison
from tests.unit.ml.search.test_results import RESULT
from warehouse.errors import ApprovalMissing, GateRefusal, NotFoundError
from warehouse.lake.connection import writer
from warehouse.settings import Settings

REASON = ("--reason", "a test")
PASSED = GateResult("auc_reaches_floor", True, "at least 0.6", "0.7", "Required at least 0.6; found 0.7.")
REFUSED = replace(PASSED, passed=False, found="0.5", message="Required at least 0.6; found 0.5. Refused: look.")


class Registry:
    """A home with three registered versions: 1 and 2 passed their gates, 3 was refused."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        model_factory.fill_lake(settings)
        candidate, self.training_set = model_factory.trained(settings)
        self.evaluation: Evaluation = evaluate(candidate, self.training_set)
        directory = settings.candidates
        self.bundle = model_factory.write_model(directory / "1", candidate, self.training_set, self.evaluation)
        self.first = self.register(self.bundle, PASSED)
        self.second = self.register(self.variant("second"), PASSED)
        self.third = self.register(self.variant("third"), REFUSED)

    def register(
        self,
        bundle: Bundle,
        gate: GateResult,
        training_set: TrainingSet | None = None,
        settings: Settings | None = None,
    ) -> RegisteredVersion:
        return registry.register(
            settings or self.settings,
            bundle,
            training_set=training_set or self.training_set,
            evaluation=self.evaluation,
            gates=[gate],
            plots={"roc": b"\x89PNG"},
        )

    def aliases(self) -> dict[str, int]:
        """MLflow's aliases of the model."""
        aliases = open_client(self.settings).get_registered_model(MODEL_NAME).aliases
        return {alias: int(version) for alias, version in aliases.items()}

    def forget(self, version: RegisteredVersion) -> None:
        """Take a version that a test registered away again."""
        open_client(self.settings).delete_model_version(MODEL_NAME, str(version.version))
        shutil.rmtree(self.settings.bundles / MODEL_NAME / str(version.version))
        path = self.settings.versions(SOURCE)
        path.write_text(
            json.dumps([each for each in json.loads(path.read_text()) if each["version"] != version.version])
        )

    def variant(self, fingerprint: str) -> Bundle:
        """The same model under another training's fingerprint."""
        return replace(self.bundle, lineage=replace(self.bundle.lineage, fingerprint=fingerprint))


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("registry") / "home")}))


def test_a_search_is_one_run_with_a_run_for_each_trial_however_often_it_is_logged(registered):
    part = replace(RESULT, trials=RESULT.trials[:2])

    experiment, parent = log_search(registered.settings, part, {})
    again = log_search(registered.settings, RESULT, {"history": b"\x89PNG"})

    client = open_client(registered.settings)
    trials = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert again == (experiment, parent)
    assert sorted(int(run.data.tags["search_trial"]) for run in trials) == [0, 1, 2, 3]
    assert client.get_run(parent).data.metrics["best_log_loss"] == pytest.approx(0.41)
    assert [file.path for file in client.list_artifacts(parent, "plots")] == ["plots/history.png"]


def test_a_comparison_is_one_run_with_its_page_and_a_run_for_each_model(registered, tmp_path):
    page = tmp_path / "bank.html"
    page.write_text("<html>")

    parent = log_comparison(
        registered.settings, small_comparison(model_row("scorecard", -0.01, 0.02)), {"ranking": b"\x89PNG"}, page
    )

    client = open_client(registered.settings)
    experiment = client.get_run(parent).info.experiment_id
    models = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    found = {run.data.tags["comparison_model"]: run for run in models}
    assert set(found) == {"champion", "scorecard"}
    metrics = found["scorecard"].data.metrics
    assert (metrics["auc"], metrics["auc_difference_low"]) == (0.7, -0.01)
    assert metrics["auc_fold_mean"] == pytest.approx(0.7)
    history = client.get_metric_history(found["scorecard"].info.run_id, "fold_auc")
    assert [(each.step, each.value) for each in history] == [(1, 0.68), (2, 0.72)]
    assert {file.path for file in client.list_artifacts(parent)} == {"bank.html", "plots"}
    assert client.get_run(parent).data.tags["folds"] == "matured: labels are known too late"


def test_versions_are_numbered_in_order(registered):
    versions = [registered.first, registered.second, registered.third]

    assert [version.version for version in versions] == [1, 2, 3]
    assert {version.name for version in versions} == {MODEL_NAME}


def test_a_copied_home_takes_bundles_from_itself(registered, tmp_path):
    copied = shutil.copytree(registered.settings.home, tmp_path / "moved elsewhere")
    settings = Settings.from_environment({"LOANLAKE_HOME": str(copied)})

    bundle = load_registered(settings, SOURCE, 1)

    assert bundle.directory.is_relative_to(copied)
    assert bundle.digest == registered.bundle.digest


def test_a_copied_home_logs_to_itself(registered, tmp_path):
    """MLflow remembers an experiment's place as a whole path: a copy's models would land in the original."""
    copied = shutil.copytree(registered.settings.home, tmp_path / "copy")
    settings = Settings.from_environment({"LOANLAKE_HOME": str(copied)})
    files_before = sorted(registered.settings.mlflow_artifacts.rglob("*"))

    version = registered.register(registered.variant("copied"), PASSED, settings=settings)

    assert version.version == registered.third.version + 1
    assert load_registered(settings, SOURCE, version.version).directory.is_relative_to(copied)
    assert sorted(registered.settings.mlflow_artifacts.rglob("*")) == files_before


def test_the_same_training_is_registered_once(registered):
    again = registered.register(registered.bundle, PASSED)

    assert (again.version, again.run_id) == (registered.first.version, registered.first.run_id)
    assert len(list_versions(registered.settings, SOURCE)) == 3
    found = registry.find_version_by_fingerprint(registered.settings, SOURCE, registered.bundle.lineage.fingerprint)
    assert found.version == 1
    assert registry.find_version_by_fingerprint(registered.settings, SOURCE, "never trained") is None


def test_a_run_tells_settings_figures_data_and_origin(registered):
    run = open_client(registered.settings).get_run(registered.first.run_id)

    assert run.data.params["model.max_trees"] == "40"
    assert run.data.metrics["candidate_on_test/auc"] == pytest.approx(registered.evaluation.overall("test").auc)
    assert run.data.tags["lake_snapshot"] == str(registered.training_set.snapshot)
    (dataset,) = run.inputs.dataset_inputs
    source = json.loads(dataset.dataset.source)["tags"]
    assert source["sql"] == registered.training_set.statement
    assert source["sha256"] == registered.training_set.sha256
    plots = open_client(registered.settings).list_artifacts(registered.first.run_id, "plots")
    assert [plot.path for plot in plots] == ["plots/roc.png"]


def test_the_registered_bundle_is_the_candidates(registered):
    kept = load_registered(registered.settings, SOURCE, 1)
    shown = open_client(registered.settings).get_model_version(MODEL_NAME, "1").tags["bundle_digest"]

    assert kept.digest == registered.bundle.digest == registered.first.bundle_digest == shown


def test_a_refused_version_is_not_served(registered):
    with pytest.raises(GateRefusal, match=r"version 3 was refused by auc_reaches_floor: Required at least 0\.6"):
        promote(registered.settings, 3, source=SOURCE, by="tests")


def test_a_refused_version_is_no_challenger(registered):
    assert 3 not in registered.aliases().values()


def test_a_training_that_is_refused_later_is_no_challenger_any_more(registered):
    """Prevents a version that lost to a newer champion from still being offered."""
    fingerprint = replace(registered.bundle.lineage, fingerprint="fourth")
    bundle = replace(registered.bundle, lineage=fingerprint)
    before = registered.register(bundle, PASSED)
    aliases = registered.aliases()

    after = registered.register(bundle, REFUSED)

    assert aliases["challenger"] == before.version
    assert (after.version, after.refused_by) == (before.version, ("auc_reaches_floor",))
    assert "challenger" not in registered.aliases()
    registered.forget(after)


def test_a_version_that_does_not_exist_is_named_with_those_that_do(registered):
    with pytest.raises(NotFoundError, match=f"model of '{SOURCE}' has no version 9: registered are 1, 2, 3"):
        promote(registered.settings, 9, source=SOURCE, by="tests")
    with pytest.raises(NotFoundError, match="model of 'nobody' has no version 1: registered are none"):
        promote(registered.settings, 1, source="nobody", by="tests")


def test_promotion_and_rollback_move_what_is_served_and_the_alias(registered, monkeypatch):
    monkeypatch.setenv("LOANLAKE_HOME", str(registered.settings.home))
    promote(registered.settings, 1, source=SOURCE, by="tests")
    result = CliRunner().invoke(promote_command, ["2", "--lender", SOURCE, *REASON])
    aliases = registered.aliases()

    assert result.exit_code == 0, result.output
    assert f"serving {MODEL_NAME} version 2" in result.output
    assert aliases["champion"] == read_deployment(registered.settings, SOURCE).model_version == 2
    assert 2 not in {version for alias, version in aliases.items() if alias != "champion"}

    rollback(registered.settings, SOURCE, by="tests")

    assert registered.aliases()["champion"] == 1
    assert read_deployment(registered.settings, SOURCE).model_version == 1


def test_a_challenge_moves_the_alias_and_ends_with_it(registered, monkeypatch):
    monkeypatch.setenv("LOANLAKE_HOME", str(registered.settings.home))
    promote(registered.settings, 1, source=SOURCE, by="tests")

    begun = CliRunner().invoke(start_challenge, ["2", "--share", "0.1", *REASON])
    with pytest.raises(GateRefusal, match="version 2 is on trial"):
        archive(registered.settings, 2, source=SOURCE)
    challenger = registered.aliases().get("challenger")
    ended = CliRunner().invoke(end_challenge, [*REASON])

    assert begun.exit_code == 0, begun.output
    assert f"serving {MODEL_NAME} version 1" in begun.output
    assert f"challenged by {MODEL_NAME} version 2, answering 10 % of the applicants" in begun.output
    assert challenger == 2
    assert ended.exit_code == 0, ended.output
    assert "challenged" not in ended.output
    assert 2 not in registered.aliases().values()


def test_a_version_waits_for_approval_and_is_served_with_it(registered, monkeypatch):
    promote(registered.settings, 1, source=SOURCE, by="tests")
    monkeypatch.setenv("LOANLAKE_HOME", str(registered.settings.home))
    monkeypatch.setenv("LOANLAKE_APPROVAL", "required")

    waiting = CliRunner().invoke(promote_command, ["2", "--lender", SOURCE, *REASON])
    canary = CliRunner().invoke(start_canary, ["2", *REASON])
    shadow = CliRunner().invoke(start_challenge, ["2", "--shadow", *REASON])
    allowed = CliRunner().invoke(approve_command, ["2", "--lender", SOURCE, "--reason", "a canary", "--no-serve"])
    rolled_out = CliRunner().invoke(start_canary, ["2", *REASON])
    approved = CliRunner().invoke(approve_command, ["2", "--lender", SOURCE, "--reason", "minutes 2026-11"])

    assert [type(result.exception) for result in (waiting, canary)] == [ApprovalMissing, ApprovalMissing]
    assert "`loanlake canary start 2 --lender simulated --reason …` rolls it out" in allowed.output
    assert rolled_out.exit_code == 0, rolled_out.output
    assert shadow.exit_code == 0, shadow.output
    assert approved.exit_code == 0, approved.output
    assert f"serving {MODEL_NAME} version 2" in approved.output
    assert read_history(registered.settings, SOURCE)[-1].why == "approved: minutes 2026-11"
    tags = open_client(registered.settings).get_model_version(MODEL_NAME, "2").tags
    assert tags["approval_reason"] == "minutes 2026-11"
    rollback(registered.settings, SOURCE, by="tests")


def test_a_refused_version_is_served_where_its_refusal_is_overridden(registered, monkeypatch):
    monkeypatch.setenv("LOANLAKE_HOME", str(registered.settings.home))
    promote(registered.settings, 1, source=SOURCE, by="tests")
    arguments = ["3", "--lender", SOURCE, "--reason", "a try"]

    refused = CliRunner().invoke(approve_command, arguments)
    approved = CliRunner().invoke(approve_command, [*arguments, "--override", "auc_reaches_floor"])

    assert isinstance(refused.exception, GateRefusal)
    assert approved.exit_code == 0, approved.output
    assert read_history(registered.settings, SOURCE)[-1].why == "approved: a try (overriding auc_reaches_floor)"
    rollback(registered.settings, SOURCE, by="tests")
    registered.settings.approvals(SOURCE).unlink()


def test_an_approval_over_http_is_followed_and_shown_in_mlflow(registered):
    settings = registered.settings
    promote(settings, 1, source=SOURCE, by="tests")

    approve_once(settings, registered.second, reason="minutes 2026-12", by="key 1")
    served, again = promote_approved(settings, SOURCE), promote_approved(settings, SOURCE)

    assert (served.model_version, served.published_by, again) == (2, "key 1", None)
    assert read_history(settings, SOURCE)[-1].why == "approved: minutes 2026-12"
    assert open_client(settings).get_model_version(MODEL_NAME, "2").tags["approved_by"] == "key 1"
    rollback(settings, SOURCE, by="tests")
    settings.approvals(SOURCE).unlink()


def test_a_canary_that_has_passed_its_last_step_is_champion(registered, monkeypatch):
    monkeypatch.setenv("LOANLAKE_HOME", str(registered.settings.home))
    promote(registered.settings, 1, source=SOURCE, by="tests")
    begun = CliRunner().invoke(start_canary, ["2", "--steps", "50,100", "--dwell", "0", *REASON])
    with writer("test", registered.settings) as con:
        con.execute(
            "insert into serving.predictions by name select ? as source, ? as model_name, 'online' as route, "
            "n % 2 + 1 as model_version, if(n % 2 = 0, 'champion', 'challenger') as role, now()::timestamp + interval "
            "1 minute as ingested_at, hash(n) % 1000 / 1e4 as probability, 1 + hash(n, 1) % 10 as latency_ms "
            "from range(4000) as t(n)",
            [SOURCE, MODEL_NAME],
        )

    moved = CliRunner().invoke(move_canary, [])

    assert begun.exit_code == 0, begun.output
    assert f"challenged by {MODEL_NAME} version 2, answering 50 % of the applicants, as a canary" in begun.output
    assert moved.exit_code == 0, moved.output
    assert "on: no worse than it may be" in moved.output
    assert registered.aliases()["champion"] == read_deployment(registered.settings, SOURCE).model_version == 2
    assert read_deployment(registered.settings, SOURCE).challenger is None
    rollback(registered.settings, SOURCE, by="tests")


def test_a_version_that_a_gate_refused_is_not_tried(registered):
    promote(registered.settings, 1, source=SOURCE, by="tests")

    with pytest.raises(GateRefusal, match="version 3 was refused by auc_reaches_floor"):
        challenge(registered.settings, 3, source=SOURCE, by="tests")

    assert read_deployment(registered.settings, SOURCE).challenger is None


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (start_challenge, ["2"]),
        (start_challenge, ["--shadow"]),
        (start_challenge, ["2", "--shadow", "--share", "0.1"]),
        (start_challenge, ["2", "--share", "1"]),
        (start_canary, ["2", "--steps", "ten"]),
    ],
)
def test_a_challenge_that_is_not_one_thing_is_a_usage_error(registered, monkeypatch, command, arguments):
    monkeypatch.setenv("LOANLAKE_HOME", str(registered.settings.home))

    assert CliRunner().invoke(command, [*arguments, *REASON]).exit_code == 2


@pytest.fixture
def served(registered) -> Iterator[str]:
    """``mlflow models serve`` of the champion on a loopback port; its address."""
    promote(registered.settings, 1, source=SOURCE, by="tests")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{MODEL_NAME}@champion"]
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {
        **os.environ,
        **SILENT,
        "MLFLOW_TRACKING_URI": registered.settings.mlflow_uri,
        # the server starts uvicorn by name
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    log = (registered.settings.home / "serve.log").open("w")
    process = subprocess.Popen(
        [*command, *options], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", process, Path(log.name))
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)
        log.close()


@pytest.mark.slow
def test_mlflow_serves_the_champion_with_the_scorers_probabilities(registered, served):
    rows = pd.read_parquet(registered.bundle.reference_sample).head(20)[list(CONTRACT.feature_names)]
    records = json.loads(rows.to_json(orient="records", double_precision=15))
    body = json.dumps({"dataframe_records": records}).encode()

    with _sent(served, body) as answer:
        predictions = json.load(answer)["predictions"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        _sent(served, json.dumps({"dataframe_records": [records[0] | {"loan_to_incom": 0.2}]}).encode())

    scorer = Scorer(registered.bundle)
    vectors = [tuple(record[name] for name in CONTRACT.feature_names) for record in records]
    assert [row["probability"] for row in predictions] == [scorer.score(vector).probability for vector in vectors]
    assert {row["decision"] for row in predictions} == {"approve", "decline"}
    assert all((row["decision"] == "decline") == (row["reasons"] != "[]") for row in predictions)
    assert refused.value.code == 400
    assert "did you mean loan_to_income?" in refused.value.read().decode()


def _sent(url: str, body: bytes) -> Any:
    return urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=60)


def _wait_for(url: str, process: subprocess.Popen, log: Path, *, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"mlflow models serve ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"mlflow models serve did not answer within {seconds:g} s: {log.read_text()[-2000:]}")


def test_an_archived_version_is_no_longer_live_and_not_promoted(registered: Registry) -> None:
    """Until a version is archived maintenance must keep the rows it was trained on."""
    settings = registered.settings
    settings.deployment(SOURCE).unlink(missing_ok=True)
    version = registered.register(registered.variant("archived"), PASSED)
    before = {model.model_version for model in live_models(settings, retention=timedelta(0))}

    archive(settings, version.version, source=SOURCE)

    after = {model.model_version for model in live_models(settings, retention=timedelta(0))}
    assert before - after == {version.version}
    assert registered.third.version not in after  # refused, and older than a retention of nothing
    with pytest.raises(GateRefusal, match="was archived"):
        promote(settings, version.version, source=SOURCE, by="tests")
    archive(settings, version.version, source=SOURCE, undo=True)
    assert version.version in {model.model_version for model in live_models(settings, retention=timedelta(0))}


def test_a_version_that_was_registered_by_hand_is_left_out(registered):
    """A click in MLflow's page broke every command about the lender's versions; and nobody has judged it."""
    client, before = open_client(registered.settings), list_versions(registered.settings, SOURCE)
    by_hand = client.create_model_version(MODEL_NAME, source="somewhere", tags={"lake_snapshot": "1"})

    after = list_versions(registered.settings, SOURCE)
    client.delete_model_version(MODEL_NAME, by_hand.version)

    assert after == before


def test_a_new_version_is_never_there_without_what_its_gates_said(registered, monkeypatch):
    """A registration that was killed before the tags left one that had passed, as far as anybody could see."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(registry, "_show_gates", killed)
        with pytest.raises(KeyboardInterrupt):
            registered.register(registered.variant("killed"), REFUSED)
    created = list_versions(registered.settings, SOURCE)[-1]
    shown = open_client(registered.settings).get_model_version(MODEL_NAME, str(created.version)).tags["refused_by"]
    registered.forget(created)

    assert (created.fingerprint, created.refused_by, shown) == ("killed", ("auc_reaches_floor",), "auc_reaches_floor")


class TestAnotherUserAtMlflowsPort:
    """MLflow asks for no login: another user of the machine changes files, tags and aliases of a registered version."""

    def test_a_bundle_that_was_replaced_there_is_not_what_a_promotion_serves(self, registered: Registry) -> None:
        settings = registered.settings
        promote(settings, 2, source=SOURCE, by="tests")
        copies = [path.parent for path in settings.mlflow_artifacts.rglob("bundle.json")]
        genuine = {path: path.read_bytes() for files in copies for path in files.iterdir()}
        for files in copies:
            approve_everybody(files)

        served = promote(settings, 1, source=SOURCE, by="tests")

        assert {load_bundle(files).policy.cut_off for files in copies} == {0.999999}  # whole, checksums and all
        bundle = load_registered(settings, SOURCE, served.model_version)
        assert served.bundle_directory(settings) == bundle.directory
        assert (bundle.digest, bundle.policy) == (registered.bundle.digest, registered.bundle.policy)
        for path, content in genuine.items():
            path.write_bytes(content)

    def test_tags_that_say_passed_overrule_no_gate(self, registered: Registry) -> None:
        client = open_client(registered.settings)
        client.set_model_version_tag(MODEL_NAME, "3", "refused_by", "")
        client.set_model_version_tag(MODEL_NAME, "3", "gate.auc_reaches_floor", "passed")
        client.set_model_version_tag(MODEL_NAME, "3", "approved_by", "the committee")

        with pytest.raises(GateRefusal, match="version 3 was refused by auc_reaches_floor"):
            promote(registered.settings, 3, source=SOURCE, by="tests")
        with pytest.raises(GateRefusal, match="version 3 was refused by auc_reaches_floor"):
            challenge(registered.settings, 3, source=SOURCE, by="tests")

    def test_the_alias_champion_serves_nothing(self, registered: Registry) -> None:
        promote(registered.settings, 1, source=SOURCE, by="tests")
        open_client(registered.settings).set_registered_model_alias(MODEL_NAME, "champion", "3")

        assert read_deployment(registered.settings, SOURCE).model_version == 1
        with pytest.raises(GateRefusal, match="version 1 is served"):
            archive(registered.settings, 1, source=SOURCE)
        open_client(registered.settings).set_registered_model_alias(MODEL_NAME, "champion", "1")

    def test_a_version_deleted_there_stops_no_erasure(self, registered: Registry) -> None:
        version = registered.register(registered.variant("deleted there"), PASSED)
        record_version(registered.settings, replace(version, digests=("before", "after")))
        open_client(registered.settings).delete_model_version(MODEL_NAME, str(version.version))

        registry.tag_changed_bundles(registered.settings, {"before": "after"})

        assert list_versions(registered.settings, SOURCE)[-1].bundle_digest == "after"
