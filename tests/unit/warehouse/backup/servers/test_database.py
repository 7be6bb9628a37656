"""A team's backup is one state of its database with the data files that its catalog names, restored whole elsewhere."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests import team_servers
from tests.backed_up_home import log_decision, rows
from tests.logged_contract import publish_contract
from warehouse.backup.checking import damaged_tables
from warehouse.backup.creating import create_backup
from warehouse.backup.repairing import repair_data_files
from warehouse.backup.restoring import complete, restore_files
from warehouse.backup.servers.database import scratch_database
from warehouse.backup.store import Store, open_store
from warehouse.decision_log import ingest_into_lake
from warehouse.errors import BackupError, SettingError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings
from warehouse.team import object_store, pull, push

WORD = "word-of-the-tests"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "backups"), "k" * 32, create=True)


@pytest.fixture(scope="module")
def object_store_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with team_servers.object_store(tmp_path_factory.mktemp("moto") / "log") as variables:
        yield variables


@pytest.fixture
def team(team: Settings, object_store_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A table of three rows, a shared file, an object of MLflow."""
    for name, value in object_store_variables.items():
        monkeypatch.setenv(name, value)
    place = f"s3://lender/{uuid.uuid4().hex[:8]}/lake"
    settings = replace(team, lake_data=place, erasure_key="e" * 32, catalog=f"{team.catalog} password={WORD}")
    with writer("test", settings) as con:
        con.execute("create table raw.loans as select i::int as id, i * 10.0::double as amount from range(1, 4) t(i)")
    settings.deployments.mkdir(parents=True, exist_ok=True)
    (settings.deployments / "shared.json").write_text("as backed up")
    push(settings, settings.deployments)
    object_store.client().put_object(Bucket="lender", Key=key(f"{place}-mlflow/1/model.ubj"), Body=b"trees")
    with psycopg.connect(settings.catalog or "", autocommit=True) as server:
        server.execute("create table mlflow.runs (artifact_uri text)")
        server.execute("insert into mlflow.runs values (%s), ('s3://other/2')", [f"{place}-mlflow/1"])
    return settings


def key(place: str) -> str:
    return place.removeprefix("s3://lender/")


def elsewhere(team: Settings, tmp_path: Path, catalog: str) -> Settings:
    return replace(team, home=tmp_path / "again", catalog=catalog, lake_data=f"{team.lake_data}-again")


def test_a_team_is_restored_into_another_database_and_prefix(team: Settings, store: Store, tmp_path: Path) -> None:
    publish_contract(team, "default_risk_bank", 1, {"loan_to_income": "double"})
    log_decision(team, "d-1")
    made = create_backup(team, store)
    with writer("test", team) as con:
        con.execute("insert into raw.loans values (4, 40.0)")
    with scratch_database(team) as catalog:
        own = elsewhere(team, tmp_path, catalog)

        restore_files(own, store, made.manifest)
        complete(own, store, made.manifest)

        assert rows(own) == [(1, 10.0), (2, 20.0), (3, 30.0)]
        assert damaged_tables(own, made.manifest) == []
        with psycopg.connect(catalog) as server:
            assert server.execute("select artifact_uri from mlflow.runs order by 1").fetchall() == [
                (f"{own.lake_data}-mlflow/1",),
                ("s3://other/2",),
            ]
        found = object_store.client().get_object(Bucket="lender", Key=key(f"{own.lake_data}-mlflow/1/model.ubj"))
        assert found["Body"].read() == b"trees"
        assert ingest_into_lake(own).n_decisions == 1
        with writer("test", own) as con:
            con.execute("insert into raw.loans values (5, 50.0)")
        with pytest.raises(BackupError, match="restored into an empty database"):
            restore_files(replace(own, home=tmp_path / "third"), store, made.manifest)
    assert rows(team) == [(1, 10.0), (2, 20.0), (3, 30.0), (4, 40.0)]


def test_a_machine_that_outlived_its_server_takes_the_restored_files(
    team: Settings, store: Store, tmp_path: Path
) -> None:
    """What it followed is newer than the backup, and its position is above the backup's."""
    made = create_backup(team, store)
    machine = replace(team, home=tmp_path / "machine")
    for n in range(3):
        (team.deployments / "shared.json").write_text(f"later {n}")
        push(team, team.deployments)
    pull(machine)
    with scratch_database(team) as catalog:
        restore_files(elsewhere(team, tmp_path, catalog), store, made.manifest)
        after = replace(machine, catalog=catalog, lake_data=f"{team.lake_data}-again")

        pull(after)

        assert (machine.deployments / "shared.json").read_text() == "as backed up"
        (after.deployments / "shared.json").write_text("after the restore")
        push(after, after.deployments)
        other = replace(after, home=tmp_path / "other")
        pull(other)
        assert (other.deployments / "shared.json").read_text() == "after the restore"


def test_a_second_backup_copies_no_data_file_again_and_repairs_those_that_are_gone(
    team: Settings, store: Store
) -> None:
    create_backup(team, store)
    client = object_store.client()
    (lost,) = [
        entry["Key"]
        for entry in client.list_objects_v2(Bucket="lender", Prefix=key(f"{team.lake_data}/raw/loans/"))["Contents"]
        if entry["Key"].endswith(".parquet")
    ]
    client.delete_object(Bucket="lender", Key=lost)

    made = create_backup(team, store)
    repaired, _ = repair_data_files(team, store, made.manifest)

    assert repaired == [f"lake/data/{lost.removeprefix(key(team.lake_data))[1:]}"]
    assert rows(team) == [(1, 10.0), (2, 20.0), (3, 30.0)]


def test_no_password_is_on_a_command_line_or_in_an_error(
    team: Settings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\necho "cannot: password=$PGPASSWORD" >&2\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    with pytest.raises(BackupError, match="pg_dump ended with 3: cannot") as refused:
        create_backup(team, store)

    assert WORD not in str(refused.value) + (tmp_path / "said").read_text()
    assert store.backup_ids() == []


def test_what_cannot_be_restored_as_it_was_is_refused_in_words(
    team: Settings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingError, match="needs LOANLAKE_ERASURE_KEY, the same on each machine"):
        create_backup(replace(team, erasure_key=None), store)
    made = create_backup(team, store)
    own = replace(team, home=tmp_path / "again", catalog=None, lake_data=f"{tmp_path}/again/lake/data/")
    with pytest.raises(SettingError, match="is of a team"):
        restore_files(own, store, made.manifest)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="PostgreSQL's own pg_dump, which must be on this machine"):
        create_backup(team, store)
    with connect(team) as con:
        assert con.execute("select count(*) from raw.loans").fetchone() == (3,)
