"""Ingestion is killed at any moment: each decision is in the lake once, and none is missing."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime

import pytest

from tests.logged_contract import publish_contract
from warehouse import decision_log
from warehouse.decision_log import Decision
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

#: Decisions, and how many of them one transaction of the lake takes in.
N, ROWS = 6_000, 100
INGESTING = f"""
from warehouse.decision_log import ingest_into_lake
from warehouse.settings import Settings
ingest_into_lake(Settings.from_environment(), batch_rows={ROWS})
"""


@pytest.mark.extended
def test_kills_at_any_moment_of_ingestion_neither_lose_nor_double(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also between the lake's commit and the watermark, which are two files."""
    seed = int(os.environ.get("LOANLAKE_TEST_SEED", time.time_ns() % 1_000_000))
    chance = random.Random(seed)
    publish_contract(home, a_decision(0).model_name, a_decision(0).model_version, {"loan_to_income": "double"})
    with closing(decision_log.create(home)) as outbox:
        decision_log.append(outbox, [a_decision(number) for number in range(N)])
    with writer("test", home):
        pass  # the lake is made: what is killed is ingestion
    pending = [N]

    while pending[-1] and len(pending) <= 12:
        with subprocess.Popen([sys.executable, "-c", INGESTING]) as ingesting:
            while decision_log.count_pending(home) == pending[-1]:  # Python starts; the lake opens
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.15))
            ingesting.send_signal(signal.SIGKILL)
        pending.append(decision_log.count_pending(home))
    decision_log.ingest_into_lake(home)

    with capsys.disabled():
        print(f"\nLOANLAKE_TEST_SEED={seed}: left to ingest after each kill: {pending}")
    with closing(connect(home)) as con:
        rows, features = (
            con.execute(f"select decision_id, count(*) from {table} group by all").fetchall()
            for table in ("serving.predictions", "serving.decision_features_v1")
        )
    assert len(pending) > 5, "a kill or two at the end of the work show nothing"
    assert dict(rows) == dict(features) == {f"d-{number}": 1 for number in range(N)}
    assert decision_log.count_pending(home) == 0


def a_decision(number: int) -> Decision:
    return Decision(
        decision_id=f"d-{number}",
        decided_at=datetime(2026, 3, 1, 12, 30),
        source="simulated",
        application_id=f"sim-{number}",
        borrower_id=None,
        inputs="{}",
        features='{"loan_to_income":0.5}',
        raw_score=-1.25,
        probability=0.3,
        probability_low=0.28,
        probability_high=0.31,
        band="C",
        decision="decline",
        reasons="[]",
        model_name="default_risk_simulated",
        model_version=3,
        feature_version="v1",
        route="online",
        status="scored",
    )
