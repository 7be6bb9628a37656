"""Gauges computed when Prometheus scrapes; they are the same in every worker.

They are facts of the home: served versions, outbox, online store, last drift. Facts of one worker are in
:mod:`serving.telemetry.metrics`.
"""

import logging
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from ml.monitoring.drift_figures import VersionDrift, read_drift
from serving.deployed.deployment_watch import DeploymentWatch
from serving.health.readiness import ReadinessCheck
from serving.http.clock import utc_now
from serving.http.wire import ReadinessWord
from serving.scoring.outbox import Outbox
from serving.telemetry.workers import live_workers, process_metrics
from warehouse.batches import BatchStates
from warehouse.errors import MonitoringError, OnlineStoreUnavailable
from warehouse.online_store import OnlineStore
from warehouse.settings import Settings

log = logging.getLogger("loanlake.serving")


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
    ):
        self._settings = settings
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._readiness = readiness
        self._drift: tuple[VersionDrift, ...] = ()
        self._drift_stamp: tuple[str, int, int] | None = None

    async def told(self) -> list[Metric]:
        """The current metrics; a few milliseconds with a store in the home."""
        status = (await self._readiness.check()).status
        text = "Whether this API can score, as /readyz says: 1 for the status that holds"
        readiness = GaugeMetricFamily("loanlake_readiness", text, labels=["status"])
        for word in get_args(ReadinessWord):
            readiness.add_metric([word], word == status)
        return [
            readiness,
            *self._served(),
            *self._measured_drift(),
            *self._backlog(),
            *self._batches(),
            *await self._store_age(),
            *process_metrics(live_workers()),
        ]

    def _served(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "loan_model_info",
            "The versions in service: 1",
            labels=["model", "version", "role", "mode", "source", "feature_version"],
        )
        share = GaugeMetricFamily(
            "loan_model_traffic_share",
            "Share of the applicants that a version answers",
            labels=["model", "version", "role"],
        )
        served = self._deployments.deployment
        for role, model, answers in served.traffic() if served is not None else ():
            deployment, mode = model.deployment, served.mode if served and role == "challenger" else None
            version = [deployment.model_name, str(deployment.model_version), role]
            info.add_metric([*version, mode or "", deployment.source, deployment.feature_version], 1)
            share.add_metric(version, answers)
        yield info
        yield share

    def _measured_drift(self) -> Iterator[Metric]:
        labels = ["model", "version"]
        psi = GaugeMetricFamily(
            "loan_model_drift_psi",
            "Population stability index of the newest month measured, against the training rows",
            labels=[*labels, "feature"],
        )
        detected = GaugeMetricFamily(
            "loan_model_drift_detected", "Whether that is drift: 1 or 0", labels=[*labels, "feature"]
        )
        month = GaugeMetricFamily(
            "loan_model_drift_month_timestamp_seconds", "First day of that month of decisions", labels=labels
        )
        measured = GaugeMetricFamily(
            "loan_model_drift_measured_timestamp_seconds", "When it was measured", labels=labels
        )
        served = self._deployments.deployment
        deployments = [model.deployment for _, model, _ in served.traffic()] if served is not None else []
        wanted = {(each.source, each.model_name, each.model_version) for each in deployments}
        for source in {source for source, _, _ in wanted}:
            for drift in self._read_drift(source):
                if (source, drift.model_name, drift.model_version) not in wanted:
                    continue
                version = [drift.model_name, str(drift.model_version)]
                month.add_metric(version, datetime.combine(drift.month, datetime.min.time(), UTC).timestamp())
                measured.add_metric(version, drift.measured_at.timestamp())
                for figure in drift.figures:
                    psi.add_metric([*version, figure.feature], figure.psi)
                    detected.add_metric([*version, figure.feature], figure.is_drifted)
        yield from (psi, detected, month, measured)

    def _read_drift(self, source: str) -> tuple[VersionDrift, ...]:
        """The published drift, read again only if the file changed."""
        try:
            stat = self._settings.drift(source).stat()
        except FileNotFoundError:
            return ()
        stamp = (source, stat.st_ino, stat.st_mtime_ns)
        if stamp != self._drift_stamp:
            self._drift_stamp = stamp
            try:
                self._drift = read_drift(self._settings, source)
            except MonitoringError as error:
                self._drift = ()
                log.error("drift cannot be shown", extra={"reason": str(error)})
        return self._drift

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
        except (sqlite3.Error, OSError):
            return
        n_postponed = sum(batch.n_postponed > 0 for batch in queued)
        waiting.add_metric(["new"], len(queued) - n_postponed)
        waiting.add_metric(["postponed"], n_postponed)
        now = utc_now()
        lag.add_metric([], max((now - batch.created_at).total_seconds() for batch in queued) if queued else 0.0)
        yield from (waiting, lag)

    async def _store_age(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "loanlake_online_store_age_seconds", "Age of the online store by the source's clock", labels=["source"]
        )
        try:
            found = await self._store.freshness()
        except OnlineStoreUnavailable:
            found = {}
        for source, fresh in found.items():
            age.add_metric([source], (utc_now() - fresh.as_of).total_seconds())
        return iter([age])
