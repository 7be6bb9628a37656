"""Execute a job on the home's Dagster instance in a separate process, and follow it.

The child's output goes to a file; the parent reads the run's stored events, which the UI shows too. ``python -m
orchestration.running.execution JOB LENDER RUN_ID CONFIG`` is the child.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from uuid import uuid4

from dagster import DagsterInstance, EventLogEntry

from orchestration.running.instance import (
    MACHINE_TAG,
    PROCESS_TAG,
    end_orphaned_runs,
    prepare_dagster_home,
    team_machine,
)
from warehouse.errors import RunRefused
from warehouse.settings import REPOSITORY, Settings

#: Shows the run under its job in the UI, as runs launched there.
_REPOSITORY_TAG = {".dagster/repository": "__repository__@loanlake"}
_POLL_SECONDS = 0.4
_PAGE = 500


@dataclass(frozen=True)
class Execution:
    """A finished run: success, duration, and its raw log."""

    run_id: str
    succeeded: bool
    seconds: float
    log: Path


def execute(
    job: str,
    lender: str,
    run_settings: Mapping[str, Any],
    settings: Settings,
    on_event: Callable[[EventLogEntry], None],
) -> Execution:
    """Run the lender's partition of ``job`` with these run settings, and call ``on_event`` for every stored event in
    order.

    A KeyboardInterrupt interrupts the child, waits for Dagster to record it, and is raised again. Raises RunRefused
    with the child's last lines if it ends before the run exists.
    """
    prepare_dagster_home(settings)
    run_id, started = str(uuid4()), time.monotonic()
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{run_id[:8]}.log"
    config = json.dumps({"resources": {"run_settings": {"config": dict(run_settings)}}})
    with DagsterInstance.get() as instance, log.open("w") as output:
        end_orphaned_runs(instance, machine=team_machine(settings))
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "orchestration.running.execution", job, lender, run_id, config],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            start_new_session=True,  # Ctrl-C reaches only the parent, which passes it on once
        )
        interrupted = _interrupts()
        try:
            for event in _events(instance, run_id, child, interrupted):
                on_event(event)
        except BaseException:
            _interrupt(child)
            raise
        run = instance.get_run_by_id(run_id)
        if run is None:
            raise RunRefused(f"the run did not start; the last lines of {log}:\n{last_lines(log)}")
        return Execution(run_id, run.is_success, time.monotonic() - started, log)


def last_lines(log: Path, n_lines: int = 15) -> str:
    """The end of a log file, for a message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-n_lines:])


def _interrupts() -> threading.Event:
    """Ctrl-C raises immediately, and also sets the event: an exception raised inside a finaliser is lost."""
    interrupted = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        interrupted.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    return interrupted


def _events(
    instance: DagsterInstance, run_id: str, child: subprocess.Popen[bytes], interrupted: threading.Event
) -> Iterator[EventLogEntry]:
    cursor = None
    while True:
        if interrupted.is_set():
            raise KeyboardInterrupt
        ended = child.poll() is not None  # before reading: events stored until then are read below
        while True:
            page = instance.get_records_for_run(run_id, cursor=cursor, limit=_PAGE)
            yield from (record.event_log_entry for record in page.records)
            cursor = page.cursor
            if not page.has_more:
                break
        if ended:
            return
        time.sleep(_POLL_SECONDS)


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
    try:
        child.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _execute_here(job: str, lender: str, run_id: str, config: str) -> bool:
    # the parent, which follows the run, does without the definitions (2 s)
    from orchestration.definitions import definitions

    with DagsterInstance.get() as instance:
        result = (
            definitions()
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                run_id=run_id,
                partition_key=lender,
                run_config=json.loads(config),
                tags={
                    **_REPOSITORY_TAG,
                    PROCESS_TAG: str(os.getpid()),
                    MACHINE_TAG: Settings.from_environment().machine,
                },
                raise_on_error=False,
            )
        )
    return result.success


if __name__ == "__main__":
    sys.exit(0 if _execute_here(*sys.argv[1:5]) else 1)
