"""The load profile of a lender, with a report: ``make load [ARGS=--long]``.

::

    normal     100 requests a second
    peak       500 a second, while another version is deployed every ten seconds
    stress     from 500 a second upwards, until one in a hundred is not answered, or p99 passes a second
    spike      ten times the peak, from 1,000 connections
    recovery   the peak again, immediately
    soak       100 a second, long, with the memory of the server at each tenth
    users      1,000 Locust users who think for one to three seconds

The short form takes three minutes at most, the long one five hours; each length can be set. All of it runs against a
server of its own on the loopback interface, and ends by itself. Locust is not a dependency: the phase is left out, and
the report says so, unless ``--locust`` or the ``PATH`` names one (``uv tool install locust``). Exits with 1 if an
answered decision is not in the log, or a request of normal, peak, recovery or soak failed.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from benchmarks.serving.arrivals import put_arrivals
from benchmarks.serving.families import processor_seconds
from benchmarks.serving.home import BenchmarkHome, benchmark_home
from benchmarks.serving.http_load import free_port
from benchmarks.serving.load_report import Phase, locust_statistics, report
from benchmarks.serving.scores import server
from ml.registry.deployment import replace_deployment
from ml.registry.registered_version import RegisteredVersion, deployment_of, keep_version
from warehouse import decision_log

NORMAL, PEAK, SPIKE = 100, 500, 5_000
STEPS = (500, 1_000, 1_500, 2_000, 3_000, 4_000)
USERS = 1_000
_SCORES = "/v1/scores"
_SWAP_SECONDS = 10.0
_SOAK_PARTS = 10
_LOCUST_FILE = Path(__file__).with_name("locustfile.py")
#: Phases that must not fail: in the others requests are meant to exceed what the server can do.
_ALWAYS_ANSWERED = ("normal", "peak", "recovery", "soak")


@dataclass(frozen=True)
class Lengths:
    """Seconds of each phase; ``step`` is of each step of the stress."""

    normal: float = 12.0
    peak: float = 15.0
    step: float = 5.0
    spike: float = 5.0
    recovery: float = 10.0
    soak: float = 30.0
    users: float = 40.0


LONG = Lengths(normal=600, peak=600, step=60, spike=60, recovery=300, soak=14_400, users=600)


@dataclass
class Target:
    """A running server, and what is known of its answers."""

    home: BenchmarkHome
    port: int
    pid: int
    decision_ids: list[str] = field(default_factory=list)

    def put(
        self,
        name: str,
        seconds: float,
        rate: float,
        *,
        connections: int = 64,
        meanwhile: Callable[[float], None] = lambda _: None,
    ) -> Phase:
        """One phase of requests that arrive at a rate."""
        own, theirs, started = time.process_time(), processor_seconds(self.pid), time.perf_counter()
        found = put_arrivals(
            self.port,
            _SCORES,
            self.home.requests,
            self.home.headers,
            per_second=rate,
            seconds=seconds,
            connections=connections,
            meanwhile=meanwhile,
        )
        took = time.perf_counter() - started
        self.decision_ids += found.decision_ids
        return Phase.of_arrivals(
            name,
            found,
            seconds=took,
            per_second=rate,
            server_cores=(processor_seconds(self.pid) - theirs) / took,
            client_cores=(time.process_time() - own) / took,
            memory=memory_mb(self.pid),
        )


def main(arguments: list[str]) -> int:
    """Run all phases, write the report, and return the exit code."""
    options = _options(arguments)
    base = LONG if options.long else Lengths()
    lengths = Lengths(**{name: getattr(options, name) or getattr(base, name) for name in vars(base)})
    busy = os.getloadavg()[0]
    notes: list[str] = []
    with benchmark_home() as home:
        port = free_port()
        command = [str(Path(sys.executable).with_name("loanlake")), "serve", "--port", str(port)]
        with server([*command, "--workers", str(options.workers)], port, "/readyz", home.environment) as running:
            target = Target(home, port, running.pid)
            target.put("warm-up", 3.0, PEAK)
            phases = list(_shown(_phases(target, lengths)))
            if options.locust is None:
                notes.append("Users: left out, since no Locust was found (`uv tool install locust`).")
            else:
                phases += _shown([_users(target, lengths.users, options.locust, options.report)])
        lost = _lost(target)
    text = report(phases, workers=options.workers, lost=lost, busy=busy, notes=notes)
    options.report.mkdir(parents=True, exist_ok=True)
    (options.report / "report.md").write_text(text)
    print(text)
    failed = [phase for phase in phases if phase.n_failed and phase.name.startswith(_ALWAYS_ANSWERED)]
    return int(lost > 0 or bool(failed))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--report", type=Path, default=Path("var/load-report"), help="folder of report.md and locust.html"
    )
    parser.add_argument("--locust", default=shutil.which("locust"), help="Locust's command")
    parser.add_argument("--long", action="store_true", help="the long form")
    for name, seconds in vars(Lengths()).items():
        parser.add_argument(f"--{name}", type=float, help=f"seconds ({seconds:g}, long {getattr(LONG, name):g})")
    return parser.parse_args(arguments)


def _phases(target: Target, lengths: Lengths) -> Iterator[Phase]:
    yield target.put("normal", lengths.normal, NORMAL)
    yield target.put("peak", lengths.peak, PEAK, meanwhile=_swapping(target.home))
    for rate in STEPS:
        step = target.put(f"stress {rate}", lengths.step, rate, connections=256)
        yield step
        if not step.is_kept_up:
            break
    yield target.put("spike", lengths.spike, SPIKE, connections=1_000)
    yield target.put("recovery", lengths.recovery, PEAK)
    for part in range(1, _SOAK_PARTS + 1):
        yield target.put(f"soak {part}/{_SOAK_PARTS}", lengths.soak / _SOAK_PARTS, NORMAL)


def _users(target: Target, seconds: float, locust: str, folder: Path) -> Phase:
    """1,000 users, all there after half of the time or a minute; figures are of the time after that."""
    folder.mkdir(parents=True, exist_ok=True)
    ramp = min(seconds / 2, 60.0)
    command = [locust, "-f", str(_LOCUST_FILE), "--headless", "--json", "--reset-stats", "--only-summary"]
    command += ["-H", f"http://127.0.0.1:{target.port}", "-u", str(USERS), "-r", f"{USERS / ramp:.0f}"]
    command += ["-t", f"{seconds:.0f}s", "--html", str(folder / "locust.html")]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as applications:
        json.dump([json.loads(body) for body in target.home.requests], applications)
        applications.flush()
        environment = {"LOANLAKE_BENCH_KEY": target.home.key, "LOANLAKE_BENCH_APPLICATIONS": applications.name}
        own, theirs, started = _children_seconds(), processor_seconds(target.pid), time.perf_counter()
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
        took = time.perf_counter() - started
    if "[" not in done.stdout:
        raise RuntimeError(f"{locust} printed no figures: {done.stderr[-2000:]}")
    return Phase.of_locust(
        f"{USERS:,} users",
        locust_statistics(done.stdout),
        seconds=took,
        seconds_sent=seconds - ramp,
        server_cores=(processor_seconds(target.pid) - theirs) / took,
        client_cores=(_children_seconds() - own) / took,
        memory=memory_mb(target.pid),
    )


def _shown(phases: Iterator[Phase] | Sequence[Phase]) -> Iterator[Phase]:
    for phase in phases:
        print(phase.line(), file=sys.stderr, flush=True)
        yield phase


def _swapping(home: BenchmarkHome) -> Callable[[float], None]:
    """Deploys two versions of the bundle in turn, as fast as a rollback does: their files are in place before."""
    versions = [
        RegisteredVersion.of_bundle(home.bundle, name=home.deployment.model_name, version=number)
        for number in (9_001, 9_002)
    ]
    for version in versions:
        keep_version(home.settings, version, home.bundle)
    placed = cycle([deployment_of(home.settings, version, by="benchmark") for version in versions])
    next_at = _SWAP_SECONDS / 2

    def swap(since_start: float) -> None:
        nonlocal next_at
        if since_start >= next_at:
            next_at += _SWAP_SECONDS
            replace_deployment(home.settings, next(placed))

    return swap


def _lost(target: Target) -> int:
    """Decisions that callers were given and the log lacks."""
    connection = decision_log.connect(target.home.settings)
    if connection is None:
        return len(target.decision_ids)
    with closing(connection):
        logged = {decision_id for (decision_id,) in connection.execute("select id from decisions")}
    return sum(decision_id not in logged for decision_id in target.decision_ids)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and those it started, in MB."""
    family = [pid, *_children(pid)]
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family)
    return pages * resource.getpagesize() / 1e6


def _children(pid: int) -> list[int]:
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in _children(child))]


def _children_seconds() -> float:
    """Processor seconds of ended processes that this one started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
