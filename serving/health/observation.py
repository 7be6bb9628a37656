"""Gauges computed when Prometheus scrapes; they are the same in every worker.

They are facts of the home: served versions, outbox, online store, what was measured. Facts of one worker are in
:mod:`serving.telemetry.metrics`.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from serving.deployed.deployment_watch import DeploymentWatch
from serving.health import streams
from serving.health.measured import MeasuredFigures
from serving.health.readiness import ReadinessCheck
from serving.http.clock import utc_now
from serving.http.wire import Readiness, ReadinessWord
from serving.scoring.outbox import Outbox
from serving.team import TeamLink
from serving.telemetry.workers import live_workers, process_metrics
from warehouse.backup.options import BackupOptions
from warehouse.backup.records import last_backup
from warehouse.batches import BatchStates
from warehouse.errors import OnlineStoreUnavailable, TeamError
from warehouse.online_store import OnlineStore
from warehouse.settings import Settings, read


class Observation:
    """Reads each part; an unavailable part is left out, and readiness gives the reason."""

    def __init__(
        self,
        settings: Settings,
        *,
        deployments: DeploymentWatch,
        store: OnlineStore,
        outbox: Outbox,
        readiness: ReadinessCheck,
        team: TeamLink,
    ):
        self._settings = settings
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._readiness = readiness
        self._team = team
        self._measured = MeasuredFigures(settings)
        self._is_backed_up = read(BackupOptions, os.environ).get("backup_target") is not None

    async def told(self) -> list[Metric]:
        """The current metrics; a few milliseconds with a store in the home."""
        found = await self._readiness.check()
        return [
            *_readiness(found),
            *self._served(),
            *self._measured.told(self._deployments.all_served()),
            *self._backlog(),
            *self._batches(),
            *streams.told(self._settings),
            *self._backup(),
            *await self._store_age(),
            *self._team.collect(),
            *process_metrics(live_workers()),
        ]

    def _served(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "loan_model_info",
            "The versions in service: 1",
            labels=["lender", "model", "version", "role", "mode", "feature_version"],
        )
        share = GaugeMetricFamily(
            "loan_model_traffic_share",
            "Share of the applicants that a version answers",
            labels=["lender", "model", "version", "role"],
        )
        for served in self._deployments.all_served():
            for role, model, answers in served.traffic():
                deployment, mode = model.deployment, served.mode if role == "challenger" else None
                version = [served.lender, deployment.model_name, str(deployment.model_version), role]
                info.add_metric([*version, mode or "", deployment.feature_version], 1)
                share.add_metric(version, answers)
        yield info
        yield share

    def _backlog(self) -> Iterator[Metric]:
        rows = GaugeMetricFamily(
            "loanlake_outbox_pending_rows", "Durable rows that the lake does not have yet", labels=["entries"]
        )
        lag = GaugeMetricFamily(
            "loanlake_outbox_lag_seconds", "Age of the oldest of them; 0 if there is none", labels=["entries"]
        )
        try:
            found = self._outbox.backlog()
        except (sqlite3.Error, OSError):
            return
        if self._team.handed_over is not None:
            found = {**found, "handed_over": self._team.handed_over}
        for entries, backlog in found.items():
            rows.add_metric([entries], backlog.n_rows)
            # another process's clock may be ahead
            lag.add_metric([entries], max(0.0, time.time() - backlog.oldest_at) if backlog.oldest_at else 0.0)
        yield from (rows, lag)

    def _batches(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "loanlake_batches_waiting", "Batches that wait for a run: new, or postponed after one", labels=["kind"]
        )
        lag = GaugeMetricFamily("loanlake_batches_lag_seconds", "Time since the first was sent; 0 if none waits")
        try:
            queued = BatchStates(self._settings).queued()
        except (sqlite3.Error, OSError, TeamError):
            return
        n_postponed = sum(batch.n_postponed > 0 for batch in queued)
        waiting.add_metric(["new"], len(queued) - n_postponed)
        waiting.add_metric(["postponed"], n_postponed)
        now = utc_now()
        lag.add_metric([], max((now - batch.created_at).total_seconds() for batch in queued) if queued else 0.0)
        yield from (waiting, lag)

    def _backup(self) -> Iterator[Metric]:
        started = GaugeMetricFamily(
            "loanlake_backup_started_timestamp_seconds",
            "When the newest complete backup began; 0 if a target is set and there is none",
        )
        last = last_backup(self._settings)
        if last is not None:
            started.add_metric([], last.started_at.timestamp())
        elif self._is_backed_up:
            started.add_metric([], 0.0)
        yield started

    async def _store_age(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "loanlake_online_store_age_seconds", "Age of the online store by the source's clock", labels=["lender"]
        )
        try:
            found = await self._store.freshness()
        except OnlineStoreUnavailable:
            found = {}
        for source, fresh in found.items():
            age.add_metric([source], (utc_now() - fresh.as_of).total_seconds())
        return iter([age])


def _readiness(found: Readiness) -> Iterator[Metric]:
    readiness = GaugeMetricFamily(
        "loanlake_readiness",
        "Whether this API can score, as /readyz says: 1 for the status that holds",
        labels=["status"],
    )
    of_lender = GaugeMetricFamily(
        "loanlake_lender_readiness",
        "Whether a lender's applications can be scored: 1 for the status that holds",
        labels=["lender", "status"],
    )
    for word in get_args(ReadinessWord):
        readiness.add_metric([word], word == found.status)
        for lender, state in found.lenders.items():
            of_lender.add_metric([lender, word], word == state.status)
    yield from (readiness, of_lender)
