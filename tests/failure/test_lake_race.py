"""One process ingests decisions while its other threads read the lake through every door: no row is lost, none dies."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from warehouse.lake.connection import connect
from warehouse.settings import Settings

#: For faults that are not known yet. The known one, a second copy of SQLite that opens and closes the catalog, took up
#: to 75 s to show; tests/architecture/test_catalog.py refuses its cause in a second.
SECONDS = float(os.environ.get("LOANLAKE_TEST_RACE_SECONDS", "30"))


@pytest.mark.extended
def test_readers_in_threads_beside_ingestion_lose_no_row(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """In a process of its own: the fault that this is about ended it with a bus error, or dropped rows in silence."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.failure.lake_race", str(SECONDS)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3000:]}"
    counts = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\nin {SECONDS:g} s: {counts}")
    with closing(connect(home)) as con:
        rows = con.execute("select decision_id, count(*) from serving.predictions group by all").fetchall()
    assert min(counts.values()) > 0
    assert dict(rows) == {f"d-{number}": 1 for number in range(counts["ingested"])}
