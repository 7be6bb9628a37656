"""A day's monitoring after 100,000 new decisions: the job ``monitor`` as the schedule ``daily_monitor`` starts it.

The home is one in which ``loanlake run simulated`` has ended (``LOANLAKE_BENCH_HOME``, copied and left alone; without
it one is made) and whose figures are all measured. Then the API's own service scores 20,000 applications, all decided
now, with their features and history in the log; the log gets each four times more, under ids of their own; and
``ingest_decisions`` moves all into the lake, as its sensor does during the day. Measured is ``monitor`` in a process of
its own: Dagster's and dbt's start, drift, skew, performance, estimates, portfolio, alerts, pages and figures, every
check included.

Its peer is the limit of 20 s that the project sets itself. ``LOANLAKE_BENCH_DECISIONS`` sets another number.
"""

import asyncio
import json
import os
import re
import sys
import time
from contextlib import closing

import msgspec

from benchmarks.comparison import Comparison
from benchmarks.serving.home import requests_of
from benchmarks.whole_path.homes import run_job, used_home
from benchmarks.whole_path.processes import Took
from ml.bundle.bundle import load_bundle
from ml.decisions.decision import Channel
from ml.registry.deployment import read_deployment
from warehouse import decision_log
from warehouse.decision_log import Decision
from warehouse.lake.connection import connect
from warehouse.settings import Settings

N_DECISIONS, N_EACH, LENDER = 100_000, 5, "simulated"
LIMIT_SECONDS = 20.0


def run() -> list[Comparison]:
    """Seconds of the job, and its processor time, which is at most twice as much on two cores."""
    n_decisions = int(os.environ.get("LOANLAKE_BENCH_DECISIONS") or N_DECISIONS)
    with used_home() as settings:
        started = time.perf_counter()
        asyncio.run(_decide(settings, n_decisions // N_EACH))
        _repeat(settings)
        print(f"  {n_decisions:,} decisions logged in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        _say("ingest_decisions", run_job(settings, "ingest_decisions"))
        took = run_job(settings, "monitor", LENDER)
        _say("monitor", took)
        _require_measured(settings, n_decisions)
    what = f"a day's monitoring, {n_decisions:,} new decisions, start-up included"
    return [
        Comparison(what, "the limit", "s", took.seconds, LIMIT_SECONDS, higher_is_better=False),
        Comparison(
            f"{what}: processor time",
            "the limit on two cores",
            "s",
            took.processor_seconds,
            2 * LIMIT_SECONDS,
            higher_is_better=False,
        ),
    ]


def _say(what: str, took: Took) -> None:
    print(f"  {what}: {took.seconds:.1f} s, {took.processor_seconds:.1f} s of processor time", file=sys.stderr)
    steps = re.findall(r'Finished execution of step "(\w+)" in (\S+)\.\s', took.output)
    print(f"    {', '.join(f'{step} {seconds}' for step, seconds in steps)}", file=sys.stderr)


async def _decide(settings: Settings, n_applications: int) -> None:
    from serving.options import ServingOptions
    from serving.services import build_services

    deployment = read_deployment(settings, LENDER)
    if deployment is None:
        raise RuntimeError(f"a benchmark needs a home that serves {LENDER}: {settings.home} does not")
    bundle = load_bundle(deployment.bundle_directory(settings))
    bodies = [json.loads(body) for body in requests_of(settings, deployment, bundle, n_applications)]
    options = ServingOptions.from_environment({})
    services, channel = build_services(settings, options), Channel("inline_batch", "benchmark", "benchmark")
    async with services.running(60.0):
        for start in range(0, n_applications, options.batch_rows):
            batch = {"applications": bodies[start : start + options.batch_rows]}
            answer = await services.scoring.score_batch(LENDER, batch, channel)
            if answer.n_refused:
                raise RuntimeError(f"every application was to be scored: {answer.n_refused} were refused")


def _repeat(settings: Settings) -> None:
    """Log every waiting decision again, under other ids."""
    from serving.scoring.decision_ids import new_decision_id

    with closing(decision_log.create(settings)) as log:
        payloads = log.execute("select payload from decisions").fetchall()
        decisions = [msgspec.msgpack.decode(payload, type=Decision) for (payload,) in payloads]
        for _ in range(N_EACH - 1):
            again = [msgspec.structs.replace(each, decision_id=new_decision_id()) for each in decisions]
            decision_log.append(log, again, [], [], [])


def _require_measured(settings: Settings, n_decisions: int) -> None:
    """Raise RuntimeError unless today's month is in every table of the job with all its decisions."""
    with connect(settings) as con:
        for table, column in (
            ("feature_drift", "n_current"),
            ("score_drift", "n_current"),
            ("feature_skew", "n_decisions"),
            ("performance_estimates", "n_decisions"),
        ):
            (found,) = con.execute(
                f"select max({column}) from monitoring.{table} where month >= date_trunc('month', now())"
            ).fetchall()[0]
            if found != n_decisions:
                raise RuntimeError(f"monitoring.{table} must have {n_decisions:,} decisions of today: found {found}")
