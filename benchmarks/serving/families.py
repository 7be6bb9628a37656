"""The cost of a score over HTTP by family of models, beside the trees and a bare handler in the same run.

Each family that is installed is trained on the benchmark's home and served as it would be in production, by one worker
to 16 connections. Servers take turns, ``LOANLAKE_BENCH_ROUNDS`` times (default 3), and medians are compared. Besides
requests a second there is the processor time of the server's process for each answer, which other work on the machine
changes less. Every application is asked as often, and each declined one has its reasons: the share is shown, since
reasons are the dearest part of a score by trees.
"""

import http.client
import json
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison import Comparison
from benchmarks.serving.home import BenchmarkHome, benchmark_home
from benchmarks.serving.http_load import put_load
from benchmarks.serving.scores import CONNECTIONS, SECONDS, bare_server, our_server
from ml.bundle.bundle import Bundle
from ml.comparison.comparing import plan_of
from ml.comparison.contenders import trained
from ml.registry.deployment import replace_deployment
from ml.registry.registered_version import RegisteredVersion, deployment_of, keep_version
from ml.training.training_set import read_training_set
from warehouse.lake.connection import connect
from warehouse.lenders.rules import read_lender

TREES = "xgboost"
_FIRST_VERSION = 9_000


@dataclass(frozen=True)
class Cost:
    """Of one server under load."""

    per_second: float
    processor_microseconds: float


def run() -> list[Comparison]:
    """Requests a second and processor time of each family against the trees, and of the trees against the handler."""
    rounds = int(os.environ.get("LOANLAKE_BENCH_ROUNDS", "3"))
    with benchmark_home() as home, _bundles(home) as bundles:
        declined: dict[str, float] = {}
        found: dict[str, list[Cost]] = {family: [] for family in bundles}
        bare: list[Cost] = []
        for _ in range(rounds):
            for family in bundles:
                _deploy(home, bundles, family)
                with our_server(home) as (running, port):
                    if family not in declined:
                        declined[family] = _declined_share(port, home)
                    found[family].append(_cost(running.pid, port, "/v1/scores", home))
            with bare_server(home, bundles[TREES]) as (running, port):
                bare.append(_cost(running.pid, port, "/score", home))
    trees = found.pop(TREES)
    comparisons = []
    for family, costs in found.items():
        what = f"score by {family}, {declined[family]:.0%} declined with reasons"
        comparisons += _compared(what, f"{TREES}, {declined[TREES]:.0%} declined", costs, trees)
    what = f"score by {TREES}, {declined[TREES]:.0%} declined with reasons"
    return comparisons + _compared(what, "a bare handler with the same trees", trees, bare)


def _compared(what: str, peer: str, ours: list[Cost], peers: list[Cost]) -> list[Comparison]:
    def median(costs: list[Cost], name: str) -> float:
        return float(statistics.median([getattr(cost, name) for cost in costs]))

    figures = (("per_second", "requests/s", ""), ("processor_microseconds", "µs", ", processor time"))
    return [
        Comparison(f"{what}{suffix}", peer, unit, median(ours, name), median(peers, name), higher_is_better=not suffix)
        for name, unit, suffix in figures
    ]


@contextmanager
def _bundles(home: BenchmarkHome) -> Iterator[dict[str, Bundle]]:
    """One bundle of each installed family, learned from the home's own training set and kept in the home."""
    source, contract = home.deployment.source, home.bundle.contract
    plan = plan_of(read_lender(source))
    with connect(home.settings) as con:
        rows = read_training_set(con, source, feature_version=contract.version, exposures=plan.learns_from_open)
    with trained(home.settings, rows, contract, plan.training, by="benchmark") as contenders:
        bundles = {contender.model: contender.bundle for contender in contenders}
        for number, bundle in enumerate(bundles.values(), start=_FIRST_VERSION):
            keep_version(home.settings, _version(home, bundle, number), bundle)
        yield bundles


def _version(home: BenchmarkHome, bundle: Bundle, number: int) -> RegisteredVersion:
    return RegisteredVersion.of_bundle(bundle, name=home.deployment.model_name, version=number)


def _deploy(home: BenchmarkHome, bundles: dict[str, Bundle], family: str) -> None:
    version = _version(home, bundles[family], _FIRST_VERSION + list(bundles).index(family))
    replace_deployment(home.settings, deployment_of(home.settings, version, by="benchmark"))


def _declined_share(port: int, home: BenchmarkHome) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    n_declined = 0
    for body in home.requests:
        connection.request("POST", "/v1/scores", body, {"Content-Type": "application/json"} | home.headers)
        n_declined += json.loads(connection.getresponse().read())["decision"] == "decline"
    connection.close()
    return n_declined / len(home.requests)


def _cost(pid: int, port: int, path: str, home: BenchmarkHome) -> Cost:
    headers = home.headers if path.startswith("/v1") else None
    put_load(port, path, home.requests, headers, connections=CONNECTIONS, seconds=1.0)  # caches and lazy imports
    before = processor_seconds(pid)
    load = put_load(port, path, home.requests, headers, connections=CONNECTIONS, seconds=SECONDS)
    spent = processor_seconds(pid) - before
    return Cost(load.per_second, 1e6 * spent / len(load.waits))


def processor_seconds(pid: int) -> float:
    """Of a process and those it started and still has."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    own = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(int(child)) for child in children)
