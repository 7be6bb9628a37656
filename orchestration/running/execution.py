"""Execute a job on the home's Dagster instance in a separate process, and follow it.

The child's output goes to a file; the parent reads the run's stored events, which the UI shows too. ``python -m
orchestration.running.execution`` is the child, which reads its order from standard input.
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
from orchestration.running.process import RunProcess
from warehouse.errors import RunRefused
from warehouse.settings import Settings

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
    *,
    process: RunProcess,
    on_event: Callable[[EventLogEntry], None],
) -> Execution:
    """Run the lender's partition of ``job`` in ``process`` with these run settings, and call ``on_event`` for every
    stored event in order.

    A KeyboardInterrupt interrupts the child, waits for Dagster to record it, and is raised again. Raises RunRefused
    with the child's last lines if it ends before the run exists.
    """
    prepare_dagster_home(settings)
    run_id, started = str(uuid4()), time.monotonic()
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{run_id[:8]}.log"
    config = {"resources": {"run_settings": {"config": dict(run_settings)}}}
    order = {"job": job, "lender": lender, "run_id": run_id, "log": str(log), "config": config}
    with DagsterInstance.get() as instance:
        end_orphaned_runs(instance, machine=team_machine(settings))
        # the environment as it is now: with Dagster's place
        child = process.order({**order, "environment": dict(os.environ)})
        interrupted = _interrupts()
        try:
            for event in _events(instance, run_id, child, interrupted):
                on_event(event)
        except BaseException:
            _interrupt(child)
            raise
        run = instance.get_run_by_id(run_id)
        if run is None:
            process.keep_last_words(log)
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


def main() -> bool:
    """Execute the run of the order on standard input; whether it succeeded. Without an order there is none."""
    # before the order: the parent, which follows the run, does without the definitions (2 s)
    from orchestration.definitions import definitions

    text = sys.stdin.read()
    if not text:
        return False
    order = json.loads(text)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for output in (sys.stdout, sys.stderr):
        output.flush()
        os.dup2(log, output.fileno())
    os.close(log)
    os.environ.update(order["environment"])
    with DagsterInstance.get() as instance:
        result = (
            definitions()
            .resolve_job_def(order["job"])
            .execute_in_process(
                instance=instance,
                run_id=order["run_id"],
                partition_key=order["lender"],
                run_config=order["config"],
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
    sys.exit(0 if main() else 1)
