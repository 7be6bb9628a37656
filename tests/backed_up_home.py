"""A small home to back up: a lake with a table of three rows, a decision log, a database and files."""

import atexit
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tests.logged_contract import publish_contract
from warehouse import decision_log
from warehouse.decision_log import Decision
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

_DECISION = Decision(
    decision_id="d-1",
    decided_at=datetime(2026, 3, 1),
    source="bank",
    application_id="bank-1",
    borrower_id="bank-b1",
    inputs='{"annual_income": 0.1}',
    features='{"loan_to_income":0.3}',
    raw_score=-1.25,
    probability=0.25,
    probability_low=0.2,
    probability_high=0.3,
    band="C",
    decision="decline",
    reasons="[]",
    model_name="default_risk_bank",
    model_version=1,
    feature_version="v1",
    route="online",
    status="scored",
    latency_ms=2.5,
    features_as_of=None,
    lake_snapshot=1,
)


def fill(home: Settings) -> None:
    """Rows (1, 10), (2, 20), (3, 30) in ``raw.loans``; two keys; a landing file; MLflow's places of this home."""
    shutil.copytree(_lake(), home.lake_catalog.parent)
    publish_contract(home, _DECISION.model_name, _DECISION.model_version, {"loan_to_income": "double"})
    home.keys.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(home.keys)) as keys, keys:
        keys.execute("pragma journal_mode = wal")
        keys.execute("create table keys (name text, padding blob)")
        keys.execute("insert into keys values ('one', zeroblob(20000)), ('two', zeroblob(20000))")
    landed = home.landing / "bank" / "loans" / "loans.csv"
    landed.parent.mkdir(parents=True)
    landed.write_text("id,amount\n1,10\n2,20\n3,30\n")
    home.mlflow_database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(home.mlflow_database)) as mlflow, mlflow:
        mlflow.execute("create table experiments (name text, artifact_location text)")
        place = home.mlflow_artifacts / "default_risk_bank"
        mlflow.execute("insert into experiments values ('ours', ?), ('far', 's3://bank/mlflow')", [place.as_uri()])


@cache
def _lake() -> Path:
    """Made once in a process: all its tables take a second, and a lake may be copied to another home."""
    template = Settings.from_environment({"LOANLAKE_HOME": tempfile.mkdtemp(prefix="loanlake-tests-")})
    atexit.register(shutil.rmtree, template.home)
    with writer("test", template) as con:
        con.execute("create table raw.loans as select i::int as id, i * 10.0::double as amount from range(1, 4) t(i)")
    return template.lake_catalog.parent


def log_decision(home: Settings, decision_id: str, **changed: Any) -> None:
    """Append a decision to the log, as the API does."""
    with closing(decision_log.create(home)) as connection:
        decision_log.append(connection, [msgspec.structs.replace(_DECISION, decision_id=decision_id, **changed)])


def rows(home: Settings, query: str = "from raw.loans order by all") -> list[tuple[Any, ...]]:
    """The rows of a query of the lake."""
    with closing(connect(home)) as con:
        return con.execute(query).fetchall()
