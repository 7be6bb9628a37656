"""Metrics for Prometheus at ``/metrics``. Every label has a bounded set of values: route templates, never paths."""

import os
from collections.abc import Collection, Iterable
from http import HTTPMethod
from typing import Literal, TypeVar, get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ml.decisions.problems import Violation
from ml.registry.deployment import Deployment
from serving.telemetry.workers import COUNTERS
from warehouse.decision_log import Decision, HistoryWord

# otherwise each counter has a second series for its start, but only with a single worker
disable_created_metrics()

#: Why a version did not score: no result for the values, an error, or a full shadow queue.
FailureWord = Literal["not_scorable", "failed", "left_out"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: The route of unmatched requests: a path must not become a label.
UNMATCHED = "unmatched"
_METHODS = frozenset(HTTPMethod)
# 16 connections are answered within 5–10 ms, a commit takes 1–2 ms: finer than the client's defaults there
_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_M = TypeVar("_M", Counter, Histogram)


class _Children(dict[tuple[str | int, ...], _M]):
    """A metric's children by label: 0.1 µs instead of the metric's own look-up of 1 to 2."""

    def __init__(self, metric: _M):
        super().__init__()
        self._metric: _M = metric

    def __missing__(self, labels: tuple[str | int, ...]) -> _M:
        child = self[labels] = self._metric.labels(*labels)
        return child


class _Told(Collector):
    def __init__(self, metrics: Iterable[Metric]):
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Metrics:
    """One app's counters: ``loan_*`` of models and decisions, ``loanlake_*`` of the service (docs/metrics.md)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._predictions = self._counter(
            "loan_predictions",
            "Scores made durable: decisions, and what a challenger in shadow would have decided",
            ("lender", "model", "version", "role", "route", "history"),
        )
        self._prediction_seconds = self._histogram(
            "loan_prediction_duration_seconds",
            "From a request's validation to its score and reasons; not its commit",
            ("lender", "model", "version", "role"),
        )
        self._results = self._counter(
            "loan_prediction_result",
            "The same scores by what they came to",
            ("lender", "model", "version", "role", "decision", "band"),
        )
        self._failures = self._counter(
            "loan_prediction_failures",
            "Applications that a version was to score and did not: not_scorable, failed, or left_out in shadow",
            ("lender", "model", "version", "role", "reason"),
        )
        self.history_refusals = self._counter(
            "loanlake_history_refusals", "Scores refused because history was stale or unavailable", ("lender", "reason")
        )
        self.borrower_features = self._counter(
            "loanlake_borrower_features",
            "Borrowers asked for at /v1/features, by what became of their history; refused: a problem in its place",
            ("lender", "history"),
        )
        self._violations = self._counter(
            "loanlake_request_violations", "Broken rules by field of the contract", ("lender", "field")
        )
        self._requests = self._counter("loanlake_http_requests", "Requests answered", ("method", "route", "status"))
        self._request_seconds = self._histogram(
            "loanlake_http_request_duration_seconds", "From routing to the first byte of the answer", ("route",)
        )
        self.commit_seconds = Histogram(
            "loanlake_outbox_commit_duration_seconds",
            "One transaction of the decision log",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.commit_rows = Histogram(
            "loanlake_outbox_commit_rows",
            "Rows in one transaction of the decision log",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.commit_failures = Counter(
            "loanlake_outbox_commit_failures", "Transactions of the decision log that failed", registry=self.registry
        )
        self.waiting = Gauge(
            "loanlake_outbox_waiting_rows",
            "Rows scored and not yet durable",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._refused_deployment = Gauge(
            "loanlake_deployment_refused",
            "Workers that cannot serve the newest deployment, or its challenger, and continue with the previous one",
            ("lender",),
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.swaps = self._counter(
            "loan_model_swaps",
            "Deployments that a worker took into service, and tries that failed",
            ("lender", "result"),
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> _Children[Counter]:
        return _Children(Counter(name, text, labels, registry=self.registry))

    def _histogram(self, name: str, text: str, labels: tuple[str, ...]) -> _Children[Histogram]:
        return _Children(Histogram(name, text, labels, buckets=_SECONDS, registry=self.registry))

    def exposition(self, told: Iterable[Metric] = ()) -> bytes:
        """Prometheus's text format for all workers, followed by the metrics in ``told``."""
        counted = self.registry
        if COUNTERS in os.environ:
            from prometheus_client.multiprocess import MultiProcessCollector

            counted = CollectorRegistry()
            MultiProcessCollector(counted)
        return generate_latest(counted) + generate_latest(_Told(told))

    def count_prediction(self, decision: Decision) -> None:
        """Count a score that is durable."""
        lender, model, version, role = decision.source, decision.model_name, decision.model_version, decision.role
        self._predictions[lender, model, version, role, decision.route, decision.history or "unknown"].inc()
        self._results[lender, model, version, role, decision.decision, decision.band].inc()
        if decision.latency_ms is not None:
            self._prediction_seconds[lender, model, version, role].observe(decision.latency_ms / 1000)

    def show_refusal(self, lender: str, *, is_refused: bool) -> None:
        """Show whether this worker cannot serve the lender's newest deployment."""
        self._refused_deployment.labels(lender).set(is_refused)

    def watch(self, lender: str) -> None:
        """Start a lender's counters at 0: Prometheus sees no increase in a series that begins with 1."""
        for reason in ("stale", "unavailable"):
            self.history_refusals[lender, reason].inc(0)
        for history in (*get_args(HistoryWord), "refused"):
            self.borrower_features[lender, history].inc(0)
        for result in ("served", "refused"):
            self.swaps[lender, result].inc(0)

    def begin(self, deployment: Deployment, roles: Collection[str]) -> None:
        """Start a version's failure counters at 0 for these roles."""
        for role in roles:
            for reason in get_args(FailureWord) if role == "shadow" else ("not_scorable", "failed"):
                self._failures[deployment.source, deployment.model_name, deployment.model_version, role, reason].inc(0)

    def count_failure(self, deployment: Deployment, role: str, reason: FailureWord) -> None:
        """Count an application that a version failed to score."""
        self._failures[deployment.source, deployment.model_name, deployment.model_version, role, reason].inc()

    def count_violations(self, lender: str, violations: Iterable[Violation], fields: Collection[str]) -> None:
        """Count each broken rule under its field; unknown names are counted together."""
        for violation in violations:
            self._violations[lender, violation.field if violation.field in fields else "unknown field"].inc()

    def count_request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count an answer under its route; ``seconds``: None if nothing was tried."""
        # made-up methods must not become labels
        self._requests[method if method in _METHODS else "other", route, status].inc()
        if seconds is not None:
            self._request_seconds[(route,)].observe(seconds)
