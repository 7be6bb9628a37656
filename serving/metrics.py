"""What Prometheus reads at ``/metrics``. Every label has a bounded set of values: routes are templates, never paths."""

import os
import time
from collections.abc import Collection
from http import HTTPMethod
from typing import TYPE_CHECKING, Any

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.problems import InvalidRequest
from warehouse.decision_log import Decision, ScoringFailure

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from serving.served_model import ServedModel

CONTENT_TYPE = CONTENT_TYPE_LATEST
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_STARTED = "loanlake_started"
_METHODS = frozenset(HTTPMethod)
# 16 connections are answered within 5–10 ms, a commit takes 1–2 ms: finer than the client's defaults there
_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The counters of one app, in a registry of their own: two apps in a process do not share numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "loanlake_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "loanlake_request_seconds",
            "From routing to the first byte of the answer",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.decisions = Counter(
            "loanlake_decisions",
            "Decisions made durable",
            ["model", "version", "decision", "status", "role"],
            registry=self.registry,
        )
        self.history = Counter(
            "loanlake_history",
            "Decisions by what became of their history: fresh, stale, left_out, unknown, unavailable, not_needed",
            ["history"],
            registry=self.registry,
        )
        self.history_refusals = Counter(
            "loanlake_history_refusals",
            "Scores refused because history was stale or unavailable",
            ["reason"],
            registry=self.registry,
        )
        self.shadows = Counter(
            "loanlake_shadow_scores",
            "Applications that a challenger in shadow scored, left_out, found not_scorable, or failed on",
            ["model", "version", "result"],
            registry=self.registry,
        )
        self.failures = Counter(
            "loanlake_scoring_failures",
            "Applications that a version was to answer and could not score",
            ["model", "version", "role", "reason"],
            registry=self.registry,
        )
        self.violations = Counter(
            "loanlake_request_violations", "Broken rules by field of the contract", ["field"], registry=self.registry
        )
        self.commit_seconds = Histogram(
            "loanlake_commit_seconds",
            "One transaction of the decision log",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.commit_rows = Histogram(
            "loanlake_commit_rows",
            "Rows in one transaction of the decision log",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.commit_failures = Counter(
            "loanlake_commit_failures", "Transactions of the decision log that failed", registry=self.registry
        )
        self.waiting = Gauge(
            "loanlake_waiting_decisions",
            "Rows scored and not yet durable",
            multiprocess_mode="livesum",
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Prometheus's text format; of all workers where there are several."""
        if _MULTIPROCESS not in os.environ:
            return generate_latest(self.registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        workers = CollectorRegistry()
        MultiProcessCollector(workers)  # type: ignore[no-untyped-call]
        return generate_latest(workers)

    def count_decision(self, decision: Decision) -> None:
        """Count a decision that is durable."""
        self.decisions.labels(
            decision.model_name, decision.model_version, decision.decision, decision.status, decision.role
        ).inc()
        self.history.labels(decision.history).inc()

    def count_shadow(self, model: "ServedModel", result: str) -> None:
        """Count an application that a challenger in shadow got, by what came of it."""
        self.shadows.labels(model.deployment.model_name, model.deployment.model_version, result).inc()

    def count_failure(self, failure: ScoringFailure) -> None:
        """Count an application that a version could not score."""
        self.failures.labels(failure.model_name, failure.model_version, failure.role, failure.reason).inc()

    def count_violations(self, problem: InvalidRequest, fields: Collection[str]) -> None:
        """Count each broken rule under its field; names that callers made up are counted together."""
        for violation in problem.violations:
            self.violations.labels(violation.field if violation.field in fields else "unknown field").inc()

    async def count_response(self, message: "Message", scope: "Scope") -> None:
        """Litestar's hook before every message sent: counts the answer, also where no route matched."""
        if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
            return
        # a request that no route takes has no template, and its path must not become a label
        route = scope.get("path_template") or "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(method, route, message["status"]).inc()
        started = _started(scope)
        if started is not None:
            self.request_seconds.labels(route).observe(time.perf_counter() - started)


class StartTime(ASGIMiddleware):
    """Notes when a matched request began."""

    async def handle(self, scope: "Scope", receive: "Receive", send: "Send", next_app: "ASGIApp") -> None:
        """Pass the request on with its start time."""
        scope["state"][_STARTED] = time.perf_counter()
        await next_app(scope, receive, send)


def _started(scope: "Scope") -> float | None:
    state: dict[str, Any] = scope.get("state") or {}
    return state.get(_STARTED)
