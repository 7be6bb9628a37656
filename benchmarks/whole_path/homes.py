"""A home in use, and a job of Dagster run in it as its daemon would: in a process of its own, its start included."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.whole_path.processes import Took, timed
from orchestration.running.instance import prepare_dagster_home
from warehouse.settings import Settings

LOANLAKE = str(Path(sys.executable).with_name("loanlake"))


@contextmanager
def used_home() -> Iterator[Settings]:
    """A copy of ``LOANLAKE_BENCH_HOME``, or a home in which the main run of the simulated lender has ended."""
    with tempfile.TemporaryDirectory(prefix="loanlake-bench-") as directory:
        home = Path(directory) / "home"
        if given := os.environ.get("LOANLAKE_BENCH_HOME"):
            shutil.copytree(given, home)
        else:
            timed([LOANLAKE, "run", "simulated"], {"LOANLAKE_HOME": str(home)})
        settings = Settings.from_environment({"LOANLAKE_HOME": str(home)})
        prepare_dagster_home(settings)
        yield settings


def run_job(settings: Settings, job: str, lender: str | None = None) -> Took:
    """Run a lender's partition of a job, or a job of all lenders; raises RuntimeError if it fails.

    The output is the run's log.
    """
    log = settings.logs / f"{job}-{uuid4()}.log"
    order: dict[str, Any] = {"job": job, "lender": lender, "run_id": str(uuid4()), "log": str(log), "config": {}}
    environment = {"LOANLAKE_HOME": str(settings.home), "DAGSTER_HOME": str(settings.dagster_home)}
    command = [sys.executable, "-m", "orchestration.running.execution"]
    return timed(command, environment, given=json.dumps({**order, "environment": environment}), log=log)
