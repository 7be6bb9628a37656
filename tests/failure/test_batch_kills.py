"""A batch's run is killed at each of its steps: a batch and its decisions agree, and none decides twice."""

import json
import os
import subprocess
import sys

import pytest
from litestar.testing import TestClient

from serving.app import create_app
from tests.batch_kills import STEPS
from tests.serving_home import APPLICATION, RISKY, furnish
from warehouse.batches import BatchFiles, BatchStates
from warehouse.lake.connection import writer
from warehouse.settings import Settings

BAD = APPLICATION | {"application_id": "app-3", "term_months": 0, "purpose": "boat"}


@pytest.mark.extended
def test_a_batch_and_its_decisions_agree_wherever_its_run_is_killed(home: Settings) -> None:
    """A batch that failed has decided nothing, one that waits is published later, and none decides twice."""
    serving_home = furnish(home)
    settings = serving_home.settings
    with TestClient(create_app(settings)) as client:
        client.headers.update(serving_home.headers)
        one = client.post("/v1/batches", json={"applications": [APPLICATION, BAD, RISKY]}).json()["batch_id"]
    sent = {step: step.replace(" ", "-") for step in STEPS}
    for batch_id in sent.values():
        _send_again(settings, one, batch_id)
    with writer("the lake is made", settings):
        pass

    done = subprocess.run(
        [sys.executable, "-m", "tests.batch_kills"],
        input=json.dumps(sent),
        env={**os.environ, "LOANLAKE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    published = {"killed": "running", "then": "queued", "at_last": "succeeded", "n_decisions": 2, "n_rows": 3}
    before = published | {"then": "failed", "n_logged_by_then": 0, "n_rows_by_then": 0}
    assert found == {
        "claimed": before,
        "a row scored": before,
        "decisions written": before,
        "results written": published | {"n_logged_by_then": 0, "n_rows_by_then": 0},
        "waiting for the lake": published | {"n_logged_by_then": 0, "n_rows_by_then": 0},
        "decisions logged": published | {"n_logged_by_then": 2, "n_rows_by_then": 0},
        "rows in the lake": published | {"n_logged_by_then": 2, "n_rows_by_then": 3},
        "about to end": published | {"n_logged_by_then": 2, "n_rows_by_then": 3},
        "ended": published | {"killed": "succeeded", "then": "succeeded", "n_logged_by_then": 2, "n_rows_by_then": 3},
    }


def _send_again(settings: Settings, batch_id: str, again: str) -> None:
    """The same rows as another batch: more than the server lets wait."""
    states = BatchStates(settings)
    batch = states.find(batch_id)
    assert batch is not None
    BatchFiles(settings, again).write_rows(next(BatchFiles(settings, batch_id).read_rows(10)))
    states.add(again, batch.request, caller_id=batch.caller_id, body_sha256=batch.body_sha256)
