"""The API under a day's load and worse: ``python -m benchmarks.serving_load [--seconds 600] [--workers 1]``.

::

    steady     500 requests a second, from 64 connections
    swaps      the same, while another version is deployed every ten seconds
    spike      5,000 a second for ten seconds, from 1,000 connections
    recovery   500 a second again, immediately

Prints what each phase's callers saw and what the server's memory was, then looks every answered decision up in the
log. Exits with 1 if one is lost or a request failed. A home is created, or copied, as for ``make bench-serving``.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.arrivals import Arrivals, put_arrivals
from benchmarks.http_load import free_port
from benchmarks.serving import server
from benchmarks.serving_home import BenchmarkHome, benchmark_home
from ml.registry.deployment import replace_deployment
from ml.registry.registered_version import RegisteredVersion, deployment_of, keep_version
from warehouse import decision_log

PER_SECOND = 500
SPIKE = 10
SWAP_SECONDS = 10.0
_SCORES = "/v1/scores"


@dataclass(frozen=True)
class Phase:
    """What callers saw in one phase; ``memory``: of all the server's processes at its end, in MB."""

    name: str
    seconds: float
    found: Arrivals
    memory: float


def main(arguments: list[str]) -> int:
    """Run all phases, print them, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the steady phase")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    with benchmark_home() as home:
        port = free_port()
        command = [str(Path(sys.executable).with_name("loanlake")), "serve", "--port", str(port)]
        with server([*command, "--workers", str(options.workers)], port, "/readyz", home.environment) as running:
            print(f"ready after {running.seconds_to_ready:.1f} s, {memory_mb(running.pid):.0f} MB")
            phases = _phases(home, port, running.pid, options.seconds)
        lost = _lost(home, phases)
    print(table(phases))
    print(f"decisions answered: {sum(len(phase.found.decision_ids) for phase in phases):,}; not in the log: {lost}")
    return int(lost > 0 or any(phase.found.n_failed for phase in phases))


def _phases(home: BenchmarkHome, port: int, pid: int, seconds: float) -> list[Phase]:
    phases: list[Phase] = []

    def phase(
        name: str,
        length: float,
        rate: float = PER_SECOND,
        connections: int = 64,
        meanwhile: Callable[[float], None] = lambda _: None,
    ) -> None:
        found = put_arrivals(
            port,
            _SCORES,
            home.requests,
            home.headers,
            per_second=rate,
            seconds=length,
            connections=connections,
            meanwhile=meanwhile,
        )
        phases.append(Phase(name, length, found, memory_mb(pid)))

    phase("warm-up", 5.0)
    tenth = seconds / 10
    for part in range(1, 11):
        phase(f"steady {part}/10", tenth)
    phase("swaps", 6 * SWAP_SECONDS, meanwhile=_swapping(home))
    phase("spike", 10.0, rate=SPIKE * PER_SECOND, connections=1_000)
    phase("recovery", 30.0)
    return phases


def _swapping(home: BenchmarkHome) -> Callable[[float], None]:
    """Deploys two versions of the bundle in turn, as fast as a rollback does: their files are in place before."""
    versions = [
        RegisteredVersion.of_bundle(home.bundle, name=home.deployment.model_name, version=number)
        for number in (9_001, 9_002)
    ]
    for version in versions:
        keep_version(home.settings, version, home.bundle)
    placed = cycle([deployment_of(home.settings, version, by="benchmark") for version in versions])
    next_at = SWAP_SECONDS / 2

    def swap(since_start: float) -> None:
        nonlocal next_at
        if since_start >= next_at:
            next_at += SWAP_SECONDS
            replace_deployment(home.settings, next(placed))

    return swap


def _lost(home: BenchmarkHome, phases: list[Phase]) -> int:
    connection = decision_log.connect(home.settings)
    if connection is None:
        return sum(len(phase.found.decision_ids) for phase in phases)
    with closing(connection):
        logged = {decision_id for (decision_id,) in connection.execute("select id from decisions")}
    return sum(decision_id not in logged for phase in phases for decision_id in phase.found.decision_ids)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and those it started, in MB."""
    family = [pid, *_children(pid)]
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family)
    return pages * 4096 / 1e6


def _children(pid: int) -> list[int]:
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in _children(child))]


def table(phases: list[Phase]) -> str:
    """One line a phase."""
    lines = ["phase          answered   shed  failed   p50 ms   p99 ms   max ms     MB"]
    lines += [
        f"{phase.name:12} {phase.found.statuses[200]:>10,} {phase.found.n_shed:>6,} {phase.found.n_failed:>7,} "
        f"{phase.found.wait_ms(50):>8.1f} {phase.found.wait_ms(99):>8.1f} {phase.found.wait_ms(100):>8.1f} "
        f"{phase.memory:>6.0f}"
        for phase in phases
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    started = time.perf_counter()
    code = main(sys.argv[1:])
    print(f"took {time.perf_counter() - started:.0f} s")
    sys.exit(code)
