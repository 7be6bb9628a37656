"""Which workers live: what a dead one said of the moment must not be added to what is so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.telemetry.workers import COUNTERS, live_workers, new_counters, process_metrics


def test_a_dead_workers_gauges_go_and_its_counts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a child of this process's parent is a sibling, as workers are to each other; a child of this one is a stranger
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for pid in (os.getpid(), stranger.pid, 2**22 + 1):
            for kind in ("gauge_livesum", "counter"):
                (tmp_path / f"{kind}_{pid}.db").touch()
        monkeypatch.setenv(COUNTERS, str(tmp_path))

        found = live_workers()
    finally:
        stranger.communicate(b"\n")

    assert found == [os.getpid()]
    assert [path.name for path in tmp_path.glob("gauge_*")] == [f"gauge_livesum_{os.getpid()}.db"]
    assert len(list(tmp_path.glob("counter_*"))) == 3


def test_a_worker_that_lives_is_told_by_its_siblings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"""
import os, sys
os.environ["{COUNTERS}"] = {str(tmp_path)!r}
from serving.telemetry.workers import live_workers
open({str(tmp_path)!r} + f"/gauge_livesum_{{os.getpid()}}.db", "w").close()
print("here", flush=True)
sys.stdin.readline()
print(live_workers(), flush=True)
sys.stdin.readline()
"""
    both = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = []
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    for process in both:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        told.append(process.stdout.readline().strip())
    for process in both:
        process.communicate("\n")

    assert told == [str(sorted(process.pid for process in both))] * 2


def test_each_workers_process_is_told_apart() -> None:
    [cpu] = [metric for metric in process_metrics([os.getpid(), os.getppid()]) if metric.name == "process_cpu_seconds"]

    assert {sample.labels["pid"] for sample in cpu.samples} == {str(os.getpid()), str(os.getppid())}


def test_counts_of_the_run_before_are_not_added(tmp_path: Path) -> None:
    """And none lies on the disk of the home, which may be full: who maps a file there is ended by the kernel."""
    link = tmp_path / "counters" / "8000"
    before = new_counters(link)
    (before / "counter_1.db").touch()

    now = new_counters(link)

    assert link.resolve() == now
    assert not before.exists()
    assert list(now.iterdir()) == []
    assert not now.is_relative_to(tmp_path)
    now.rmdir()
