"""The main job, serving, batches, erasure and maintenance of a team on real servers.

PostgreSQL and Redis accept nothing but TLS with a password: every part of the team's machines that reaches them (the
lake's catalog, MLflow, Dagster, keys, batches, decisions, online store, rate limits) verifies their certificates.

One home for the module, since a run takes most of a minute. The tests run in the order they are written in. Of one
machine `test_main_job.py`, `test_serving.py` and `test_provenance.py` show the same, and single parts of a team have
`test_team_machines.py` and `test_lake_on_postgres.py`: so this file, two minutes of processor time, is extended.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner
from litestar.testing import TestClient

from ml.batches.runs import run_batch
from ml.decisions.replay import replay
from ml.registry.deployment import read_deployment
from ml.registry.tracking import open_client
from orchestration.defs.maintenance.upkeep import maintain_home
from orchestration.defs.pipeline.jobs import MAIN_PATH
from orchestration.defs.training import steps
from orchestration.lib.layers import DRIFT_REPORT
from orchestration.people.erasure import erase_person
from orchestration.people.export import export_person
from orchestration.recovery.restoring import restore
from orchestration.recovery.verifying import verify
from orchestration.running.instance import prepare_dagster_home
from orchestration.services.status import status_text
from serving.access.keys import KeyStore
from serving.app import create_app
from tests import team_servers
from tests.bytes_of_home import files_that_name
from tests.small_lender import LENDER, Home, judge_by_what_decides
from tests.tls_servers import TlsServers
from warehouse import decision_log
from warehouse.backup.creating import create_backup
from warehouse.backup.servers.database import scratch_database
from warehouse.backup.store import open_store
from warehouse.doctor.commands import doctor
from warehouse.errors import LakeError, NotFoundError, TeamError
from warehouse.lake.connection import DEV, attach, connect, lease, writer
from warehouse.lake.dev_lakes import dev_lakes, drop_dev_lake, of_dev_lake
from warehouse.settings import Settings
from warehouse.team import object_store

pytestmark = pytest.mark.extended

APPLICATION = {
    "application_id": "app-1",
    "requested_amount": 12_000,
    "term_months": 36,
    "annual_rate": 0.1199,
    "purpose": "debt_consolidation",
    "annual_income": 58_000,
    "income_verified": True,
    "employment_years": 4,
    "home_ownership": "rent",
    "debt_to_income": 0.18,
    "bureau_score": 702,
    "n_inquiries_6m": 1,
    "revolving_utilisation": 0.52,
}


@dataclass
class Lender:
    """The worker's home with its run, and the home of an API machine."""

    worker: Home
    run: dg.ExecuteInProcessResult
    api: Settings
    servers: TlsServers
    backups: str
    decision_id: str = ""
    erased: str = ""

    @property
    def borrower(self) -> str:
        rows = self.worker.rows("select min(borrower_id) from core.int_statements where source = 'simulated'")
        return str(rows[0][0])

    def client(self, patch: pytest.MonkeyPatch) -> TestClient[Any]:
        patch.setenv("LOANLAKE_HISTORY_MAX_AGE_HOURS", "none")
        key = KeyStore.of(self.worker.settings).create("tests", ["admin"], rate_limit=10_000)
        client: TestClient[Any] = TestClient(create_app(self.api))
        client.headers["Authorization"] = f"Bearer {key}"
        return client


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory, give_parse: Callable[[Settings], None]) -> Iterator[Lender]:
    folder = tmp_path_factory.mktemp("team")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        variables, own_servers = stack.enter_context(team_servers.servers_over_tls(folder / "moto.log"))
        of_backups = {"LOANLAKE_BACKUP_TARGET": str(folder / "backups"), "LOANLAKE_ERASURE_KEY": "e" * 32}
        for name, value in (variables | of_backups | {"LOANLAKE_HOME": str(folder / "worker")}).items():
            patch.setenv(name, value)
        settings = Settings.from_environment()
        give_parse(settings)
        patch.setenv("DAGSTER_HOME", str(prepare_dagster_home(settings)))
        patch.setattr(steps, "run_gates", judge_by_what_decides)
        with dg.DagsterInstance.get() as instance:
            home = Home(settings, instance)
            # the report of drift is files of the worker, as on one machine
            run = home.run(MAIN_PATH - dg.AssetSelection.assets(DRIFT_REPORT))
            api = replace(settings, home=folder / "api", machine="api")
            yield Lender(home, run, api, own_servers, of_backups["LOANLAKE_BACKUP_TARGET"])


def test_the_run_publishes_a_model(lender: Lender) -> None:
    assert lender.run.success

    served = read_deployment(lender.api, LENDER)

    assert served is not None
    assert served.model_version == 1
    champion = open_client(lender.worker.settings).get_model_version_by_alias(served.model_name, "champion")
    assert int(champion.version) == 1
    assert lender.worker.instance.get_run_by_id(lender.run.run_id).is_success  # type: ignore[union-attr]


def test_everything_of_a_team_is_on_its_servers(lender: Lender) -> None:
    home = lender.worker.settings.home
    objects = object_store.client().list_objects_v2(Bucket="lender", MaxKeys=1_000)["Contents"]
    prefixes = {entry["Key"].partition("/")[0] for entry in objects}
    with psycopg.connect(lender.api.catalog or "") as server:
        schemas = {name for (name,) in server.execute("select distinct schemaname from pg_tables").fetchall()}

    assert prefixes >= {"lake", "lake-mlflow"}
    assert schemas >= {"public", "loanlake", "mlflow", "dagster"}
    assert not (home / "lake" / "data").exists()
    assert not (home / "lake" / "catalog.sqlite").exists()
    assert not (home / "mlflow").exists()
    assert list((home / "dagster").rglob("*.db")) == []


def test_a_decision_of_an_api_machine_is_replayed_by_the_worker(lender: Lender) -> None:
    with pytest.MonkeyPatch.context() as patch, lender.client(patch) as client:
        answer = client.post("/v1/scores", json=APPLICATION | {"borrower_id": lender.borrower})
        assert answer.status_code == 200, answer.text
        lender.decision_id = answer.json()["decision_id"]
    assert decision_log.ingest_into_lake(lender.worker.settings).n_decisions == 1

    replayed = replay(lender.worker.settings, lender.decision_id)

    assert answer.json()["status"] == "scored"
    assert replayed.equal, replayed.text
    assert decision_log.find_decision(lender.api, lender.decision_id).probability == answer.json()["probability"]


def test_a_batch_is_accepted_by_the_api_and_scored_by_the_worker(lender: Lender) -> None:
    rows = [APPLICATION | {"application_id": f"batch-{n}", "borrower_id": lender.borrower} for n in range(3)]
    with pytest.MonkeyPatch.context() as patch, lender.client(patch) as client:
        sent = client.post("/v1/batches", json={"applications": rows})
        assert sent.status_code == 202, sent.text
        done = run_batch(lender.worker.settings, sent.json()["batch_id"], run_id="tests")
        results = client.get(f"/v1/batches/{sent.json()['batch_id']}/results")

    assert done is not None
    assert (done.state, done.n_scored) == ("succeeded", 3), done.reason
    assert results.status_code == 200
    assert decision_log.ingest_into_lake(lender.worker.settings).n_decisions == 3


def test_status_and_doctor_find_everything_in_order(lender: Lender) -> None:
    text = status_text(lender.worker.settings)

    result = CliRunner().invoke(doctor)

    assert "0 decisions and outcomes wait for ingestion" in text
    assert "default_risk_simulated" in text
    assert "api: " not in text  # it stopped as it should
    assert result.exit_code == 0, result.output
    assert "failed" not in result.output
    assert team_servers.PASSWORD not in text + result.output


def test_no_password_is_in_a_file_of_a_home(lender: Lender) -> None:
    for settings in (lender.worker.settings, lender.api):
        assert files_that_name(settings, [team_servers.PASSWORD]) == []


def test_a_second_lake_on_the_same_prefix_is_refused(lender: Lender) -> None:
    """Its maintenance would delete the first one's files, which it does not know."""
    with (
        scratch_database(lender.worker.settings) as catalog,
        pytest.raises(LakeError, match=r"a lake was here, so no new one .*LOANLAKE_LAKE_DATA to a place of its own"),
        writer("test", replace(lender.worker.settings, catalog=catalog)),
    ):
        pass


def test_another_authority_is_refused_in_words_by_each_server(lender: Lender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that poses as the team's must get no password, and the answer must say what is wrong."""
    authority, other = str(lender.servers.authority), str(lender.servers.other_authority)
    monkeypatch.setenv("LOANLAKE_CATALOG", f"postgres:{lender.servers.catalog.replace(authority, other)}")
    monkeypatch.setenv("LOANLAKE_REDIS_URL", lender.servers.redis_url.replace(authority, other))
    settings = Settings.from_environment()

    result = CliRunner().invoke(doctor)

    said = {line[9:25].strip(): line for line in result.output.splitlines() if line.startswith("failed")}
    assert said.keys() == {"lake", "postgresql", "tls", "machines", "redis"}
    assert [part for part, line in said.items() if "certificate verify failed" not in line] == []
    assert team_servers.PASSWORD not in result.output
    with pytest.raises(TeamError, match="certificate verify failed") as refused:
        KeyStore.of(settings).create("tests", ["score"])
    assert team_servers.PASSWORD not in str(refused.value)


def test_an_analysts_lake_is_beside_the_teams_and_takes_no_lease_of_it(lender: Lender) -> None:
    settings = lender.worker.settings
    own = of_dev_lake(settings, "ada")

    with lease("dbt build", own), lease("a writer of production", settings), connect(settings) as con:
        attach(con, own, read_only=False, name=DEV)
        con.execute("create schema dev.core")
        con.execute("create table dev.core.t as select count(*) as n from lake.core.int_applications")
        assert con.execute("from dev.core.t").fetchone() != (0,)

    assert dev_lakes(settings) == ["ada"]
    drop_dev_lake(settings, "ada")
    assert dev_lakes(settings) == []


def test_a_backup_of_the_team_is_found_good_by_restoring_it_beside_the_team(lender: Lender) -> None:
    settings, store = lender.worker.settings, open_store(lender.backups, None, create=True)

    made = create_backup(settings, store)
    found = verify(settings, store, made.manifest, n_decisions=10)

    assert [str(damage) for damage in found.damages] == []
    assert (found.n_replayed, len(found.training_sets)) == (4, 1)  # those asked for here
    assert found.n_tables > 40


def test_a_person_is_exported_and_erased_everywhere(lender: Lender) -> None:
    settings, borrower = lender.worker.settings, lender.borrower
    lender.erased = borrower
    ((n_decisions,),) = lender.worker.rows(f"select count(*) from serving.predictions where borrower_id = '{borrower}'")
    exported = export_person(settings, borrower, by="tests")
    printed = {"Bucket": "lender", "Key": "lake-dagster/storage/run/step.err"}
    object_store.client().put_object(**printed, Body=f"a step wrote {borrower}, not {borrower}0".encode())

    erased = erase_person(settings, borrower, reason="a request", by="tests", at_once=True)

    assert n_decisions >= 4  # those asked for here
    left = object_store.client().get_object(**printed)["Body"].read().decode()
    assert left == f"a step wrote {'*' * len(borrower)}, not {borrower}0"
    assert len(exported["lake"]["serving.predictions"]) == n_decisions
    assert erased.counts["serving.predictions"] == n_decisions
    with pytest.raises(NotFoundError):
        decision_log.find_decision(lender.api, lender.decision_id)
    assert lender.worker.rows(f"select count(*) from core.int_statements where borrower_id = '{borrower}'") == [(0,)]


def test_maintenance_keeps_every_row(lender: Lender) -> None:
    before = lender.worker.rows("select count(*), sum(requested_amount) from core.int_applications")

    done = maintain_home(lender.worker.settings, retention_days=0, grace_hours=0)

    assert done.lake.n_snapshots >= 1
    assert lender.worker.rows("select count(*), sum(requested_amount) from core.int_applications") == before
    with connect(lender.api) as con:
        assert con.execute("select count(*) from monitoring.gate_results").fetchone() != (0,)


def test_a_restored_team_goes_on_without_whom_was_erased_since(lender: Lender, tmp_path: Path) -> None:
    """Into another database, prefix and home, with the services that a run needs; the person was in the backup."""
    settings, store = lender.worker.settings, open_store(lender.backups, None)
    with pytest.MonkeyPatch.context() as patch, scratch_database(settings) as catalog:
        for name, value in {
            "LOANLAKE_CATALOG": f"postgres:{catalog}",
            "LOANLAKE_LAKE_DATA": "s3://lender/again",
            "LOANLAKE_HOME": str(tmp_path / "again"),
        }.items():
            patch.setenv(name, value)
        own = Settings.from_environment()

        done = restore(own, store, store.manifest(), by="tests", say=lambda _: None)

        with connect(own) as con:
            rows = con.execute("select count(*) from core.int_statements where borrower_id = ?", [lender.erased])
            assert rows.fetchone() == (0,)
            assert con.execute("select count(*) from core.int_applications").fetchone() != (0,)
        assert done.n_erased == 1
        served = read_deployment(replace(own, home=tmp_path / "api"), LENDER)
        assert served is not None
        version = open_client(own).get_model_version_by_alias(served.model_name, "champion")
        run = open_client(own).get_run(version.run_id or "")
        assert run.info.artifact_uri.startswith("s3://lender/again-mlflow/")
        patch.setenv("DAGSTER_HOME", str(prepare_dagster_home(own)))
        with dg.DagsterInstance.get() as instance:
            assert instance.get_run_by_id(lender.run.run_id) is not None
