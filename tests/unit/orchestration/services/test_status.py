"""`loanlake status` on an empty home and on one with data, a model and waiting decisions."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from ml.registry.deployment import Deployment, read_deployment
from ml.rollout.challenge import end_challenge
from orchestration.commands import status
from orchestration.defs.training.candidates import candidate_directory, set_current
from orchestration.running.summary import summary_text
from orchestration.services.status import status_text
from tests.model_factory import MODEL_NAME, SOURCE, publish_model
from tests.second_version import challenge_with_second
from warehouse.backup.records import LastBackup, record_backup
from warehouse.batches import BatchRequest, BatchStates
from warehouse.decision_log import create
from warehouse.lake.connection import writer
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources.streaming.lag import StreamLag, write_lag

NOW = datetime(2024, 1, 2, 5, 4, 5, tzinfo=UTC)


def test_an_empty_home_says_how_to_start(home: Settings) -> None:
    text = status_text(home, now=NOW)

    assert text.splitlines() == [
        f"home         {home.home}",
        "data         no lake yet: start with `loanlake run`",
        "inbox        empty",
        "served       no model: the API answers 503 until one passes its gates",
        "models       none registered",
        "predictions  no lake yet: start with `loanlake run`",
        "alerts       no lake yet: start with `loanlake run`",
        "runs         none",
        "backup       none: `loanlake backup TARGET` makes one",
    ]


def test_a_lake_that_cannot_be_read_is_not_said_to_be_missing(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    """An unreachable catalog was answered with "no lake yet: start with `loanlake run`"."""
    in_service(3)
    team = replace(home, catalog="host=127.0.0.1 port=1 dbname=none connect_timeout=2")

    text = status_text(team, now=NOW)

    for section in ("data", "alerts"):
        assert f"\n{section:<13}the lake's catalog cannot be opened: " in text
    for section in ("models", "predictions"):
        assert f"\n{section:<13}the team's PostgreSQL server (LOANLAKE_CATALOG) must answer: " in text
    assert "no lake yet" not in text
    assert "\nbackup       none" in text


def test_a_lake_whose_catalog_is_lost_is_said_to_be_so(home: Settings) -> None:
    (home.home / "lake" / "data" / "raw").mkdir(parents=True)
    (home.home / "lake" / "data" / "raw" / "rows.parquet").write_bytes(b"rows")

    text = status_text(home, now=NOW)

    assert f"\ndata         the lake's catalog, {home.lake_catalog}, must know the files of" in text
    assert "it is missing, and a lake was here" in text
    assert "no lake yet" not in text


def test_a_home_at_work_shows_data_model_and_predictions(home: Settings, in_service: Callable[..., Deployment]) -> None:
    in_service(3, auc=0.7066)
    with writer("test", home) as con:
        con.execute(
            "insert into raw.files (source, entity, file, n_rows, loaded_at) "
            "values ('bank', 'loans', 'a.csv', 42535, '2024-01-02 03:00:00')"
        )
        con.execute(
            "insert into serving.predictions (source, route, decided_at) values ('bank', 'backfill', '2023-12-31')"
        )

    text = status_text(home, now=NOW)

    assert "bank    1      42,535    2024-01-02 03:00" in text
    assert (
        "served       default_risk_bank version 3, features v1, since 2024-01-02 03:04 UTC (2 h ago), by test" in text
    )
    assert "default_risk_bank  3        not recorded  logistic  2024-01-02T03:04  random split  0.7066" in text
    assert "predictions  bank backfill: 1, the latest decided 2023-12-31" in text
    assert "alerts       nothing yet" in text


def test_what_lies_in_the_inbox_is_named_with_what_becomes_of_it(home: Settings) -> None:
    """A file that no run would ever load was named nowhere."""
    for name in ("loans.csv", "mybank/loans/a.csv", "mybank/loans/b.csv", "mybank/loans/c.csv.refused"):
        path = home.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("id\n1\n")
    home.dbt_parsed.mkdir(parents=True)
    (home.dbt_parsed / "manifest.json").write_text(
        '{"sources": {"one": {"schema": "raw", "identifier": "otherbank_loans"}}}'
    )

    with (home.inbox / "mybank/loans/b.csv").open("a"):
        text = status_text(home, now=datetime.now(UTC) + timedelta(minutes=1))

    inbox = text.partition("inbox        ")[2].partition("served")[0].splitlines()
    assert [line.strip() for line in inbox] == [
        "mybank: mybank/loans/a.csv waits for a run; no dbt model reads the lender 'mybank', so that a run for it is "
        "refused",
        "may still be written: mybank/loans/b.csv",
        "not loaded: loans.csv: it is not in a source's folder: move it to inbox/<source>/",
        "not loaded: mybank/loans/c.csv.refused: it could not be loaded, and the run that tried says why: drop a "
        "corrected file, or rename it back",
    ]


def test_a_run_that_has_not_started_is_said_to_be_so_once(home: Settings) -> None:
    runs = home.dagster_home / "history" / "runs.db"
    runs.parent.mkdir(parents=True)
    with closing(sqlite3.connect(runs)) as con, con:
        con.execute(
            "create table runs (id integer, run_id text, pipeline_name text, status text, start_time, end_time)"
        )
        con.execute("insert into runs values (1, '0123456789', 'refresh', 'NOT_STARTED', null, null)")

    text = status_text(home, now=NOW)

    (line,) = [line for line in text.splitlines() if line.startswith("runs")]
    assert line.split() == ["runs", "01234567", "refresh", "not", "started"]


def test_failed_batches_are_counted_with_the_reason_of_the_newest(home: Settings) -> None:
    states = BatchStates(home)
    for batch_id, reason in (("b-1", "the lake is gone"), ("b-2", "the champion takes other fields")):
        batch = states.add(batch_id, BatchRequest(source=SOURCE, n_rows=1), caller_id="c", body_sha256="x")
        states.finish(batch, "failed", reason=reason)

    text = status_text(home, now=NOW)

    assert "2 batches failed, the newest b-2 2" in text
    assert "UTC: the champion takes other fields" in text


def test_decisions_that_a_topic_does_not_get_are_counted_with_the_reason(home: Settings) -> None:
    create(home).close()
    for entity, problem in (("decisions_to", "no answer"), ("loans", "")):
        write_lag(home, StreamLag("bank", entity, at=0.0, messages=3, problem=problem))

    text = status_text(home)

    assert "decisions of bank: 3 wait to be published; no answer" in text
    assert text.count("wait to be published") == 1


def test_a_lender_is_known_until_the_clock_by_which_its_labels_mature(home: Settings) -> None:
    """Statements move it, and the var as_of holds it: core.int_clocks says, whatever applications and outcomes have."""
    with writer("test", home) as con:
        con.execute(
            "insert into raw.files (source, entity, file, n_rows, loaded_at) "
            "values ('bank', 'loans', 'a.csv', 2, '2024-01-02 03:00:00')"
        )
        con.execute(
            "create table core.int_applications as from (values "
            "('bank', timestamp '2023-05-01', timestamp '2023-05-02'), "
            "('bank', timestamp '2023-06-01', timestamp '2023-06-02')) t(source, decided_at, known_at)"
        )
        con.execute("create table core.int_outcomes as select 'bank' as source, timestamp '2023-07-01' as known_at")
        con.execute("create table core.int_clocks as select 'bank' as source, timestamp '2023-09-30' as clock_at")

    (line,) = [line for line in status_text(home, now=NOW).splitlines() if line.split()[0] == "bank"]

    assert line.split() == ["bank", "1", "2", "2024-01-02", "03:00", "2", "2023-06-01", "2023-09-30"]


def test_rows_that_were_set_aside_are_shown_with_the_reasons(home: Settings) -> None:
    """Every row of a file was in quarantine, and nothing was said of it."""
    with writer("test", home) as con:
        con.execute(
            "insert into raw.files (source, entity, file, n_rows, loaded_at) "
            "values ('bank', 'loans', 'a.csv', 2000, '2024-01-02 03:00:00')"
        )
        con.execute(
            "create table staging.rows_set_aside as select 'bank' as source, 'loans' as entity, 'a.csv' as file, "
            "2000 as n_rows, 2000 as n_set_aside, 1.0::double as set_aside_share, 0.2::double as max_share, "
            "false as is_replaced, false as is_accepted"
        )
        con.execute(
            "create table raw.quarantine as select 'bank' as source, 'loans' as entity, 'a.csv' as file, "
            "range as line, 'bal' as column_name, 'must be a number' as reason from range(2000)"
        )

    said = "bank loans: 2,000 of 2,000 rows set aside (100 %): bal must be a number (2,000). More than 20 % of a.csv"
    assert f"\n{'':<13}{said}\n" in status_text(home, now=NOW)
    assert f"\nset aside     {said}\n" in summary_text(home, "bank")


def test_a_lender_whose_file_cannot_be_read_is_named(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.services.status.broken_lenders", lambda: {"bank": "bank.yml has an unknown key"})

    text = status_text(home, now=NOW)

    assert "\n             bank is not built, and stays as it was last built: bank.yml has an unknown key\n" in text


def test_a_challenger_is_shown_beside_the_champion(home: Settings) -> None:
    publish_model(home)
    challenge_with_second(home, share=0.1)

    served = status_text(home).partition("served")[2].partition("models")[0]

    assert "default_risk_simulated version 1, features v1, since" in served
    assert "challenged by default_risk_simulated version 2, answering 10 % of the applicants, features v2" in served
    assert "xgboost: scores equal to the bit, exact reasons, directions of risk kept" in served


def test_what_a_run_did_with_its_candidate_is_shown_while_it_is_so(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that had answered and was replaced was still said to have begun as challenger."""
    monkeypatch.setattr("ml.registry.registry.drop_challenger", lambda *_: None)  # MLflow's display
    publish_model(home)
    challenge_with_second(home)
    directory = candidate_directory(home, SOURCE, "2")
    directory.write_registration({"model_name": MODEL_NAME, "model_version": 2})
    directory.write_publication({"word": "in shadow", "text": "version 2 began in shadow", "rule": "the rule"})
    set_current(home, SOURCE, directory)
    began = status_text(home)

    end_challenge(home, SOURCE, by="tests", why="Declines too many")

    assert "version 2 began in shadow" in began
    assert "version 2 began in shadow" not in status_text(home)


def test_a_bundle_that_was_changed_is_not_said_to_be_served_as_any_other(home: Settings) -> None:
    publish_model(home)
    served = read_deployment(home, SOURCE)
    assert served is not None
    assert "does not take" not in status_text(home)
    policy = served.bundle_directory(home) / "policy.json"
    policy.chmod(0o600)
    policy.write_text(policy.read_text() + " ")

    text = status_text(home).partition("served")[2].partition("models")[0]

    assert "an API that starts now does not take version 1: " in text
    assert "policy.json was changed after the bundle was written" in text


def test_a_backup_is_named_with_its_age_and_an_old_one_is_said_to_be_so(home: Settings) -> None:
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    began = now - timedelta(hours=27)
    record_backup(home, LastBackup("20260301T090000-000Z", "/mnt/backups", began, began, n_bytes=1))

    text = status_text(home, now=now)

    assert "20260301T090000-000Z in /mnt/backups, 1 d ago: older than 26 h, back up again" in text
    assert "older than" not in status_text(home, now=now - timedelta(hours=1, minutes=1))


def test_the_command_prints_it(home: Settings) -> None:
    result = CliRunner().invoke(status)

    assert result.exit_code == 0
    assert result.output.startswith(f"home         {home.home}")


def test_it_needs_neither_mlflow_nor_dagster(home: Settings) -> None:
    """Prevents a glance at a home from taking ten seconds."""
    script = (
        "import sys; from orchestration.services.status import status_text; from warehouse.settings import Settings\n"
        "status_text(Settings.from_environment())\n"
        "print([name for name in ('mlflow', 'dagster', 'pandas') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY, env=dict(os.environ)
    )

    assert done.stdout.strip() == "[]"
