"""What a load profile found, as Markdown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.serving.arrivals import Arrivals

#: Share of one core from which on a client of one thread is what limits a phase.
CLIENT_IS_THE_LIMIT = 0.9
_COLUMNS = (
    *("phase", "seconds", "sent /s", "answered", "rejected", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms"),
    *("server, cores", "client, cores", "MB"),
)


@dataclass(frozen=True)
class Phase:
    """One phase as its callers saw it.

    ``n_rejected``: answers 429 and 503, which are not failures. ``n_failed``: every other status but 200, and
    connections without an answer. ``waits_ms``: p50, p95, p99 and the longest, of those answered. ``server_cores``,
    ``client_cores``: processor seconds a second. ``memory``: of all the server's processes at its end, in MB.
    """

    name: str
    seconds: float
    per_second: float
    n_answered: int
    n_rejected: int
    n_failed: int
    waits_ms: tuple[float, float, float, float]
    server_cores: float
    client_cores: float
    memory: float

    @classmethod
    def of_arrivals(cls, name: str, found: Arrivals, **measured: float) -> Self:
        """From requests that arrived at a rate."""
        waits = [found.wait_ms(percentile) for percentile in (50, 95, 99, 100)]
        return cls(
            name=name,
            n_answered=found.statuses[200],
            n_rejected=found.n_shed,
            n_failed=found.n_failed,
            waits_ms=(waits[0], waits[1], waits[2], waits[3]),
            **measured,
        )

    @classmethod
    def of_locust(cls, name: str, statistics: Sequence[dict[str, Any]], **measured: float) -> Self:
        """From ``locust --json``: waits in whole milliseconds, rounded by Locust above a hundred."""
        scores = [each for each in statistics if each["name"] == "/v1/scores"]
        waits: dict[float, int] = {}
        for each in scores:
            for wait, n in each["response_times"].items():
                waits[float(wait)] = waits.get(float(wait), 0) + n
        n_failed = sum(each["num_failures"] for each in scores)
        n_rejected = sum(each["num_requests"] for each in statistics if each["name"].startswith("rejected"))
        n_all = sum(each["num_requests"] for each in scores)
        return cls(
            name=name,
            per_second=(n_all + n_rejected) / measured.pop("seconds_sent"),
            n_answered=n_all - n_failed,
            n_rejected=n_rejected,
            n_failed=n_failed,
            waits_ms=(_wait(waits, 0.5), _wait(waits, 0.95), _wait(waits, 0.99), _wait(waits, 1.0)),
            **measured,
        )

    @property
    def is_kept_up(self) -> bool:
        """Whether all but one in a hundred requests were answered, and 99 of 100 of those within a second."""
        n_all = self.n_answered + self.n_rejected + self.n_failed
        return self.n_answered >= 0.99 * n_all and self.waits_ms[2] <= 1000

    @property
    def is_limited_by_client(self) -> bool:
        """Whether the client had no processor time to spare: its waits then include its own."""
        return self.client_cores >= CLIENT_IS_THE_LIMIT

    def line(self) -> str:
        """A row of the report's table."""
        cells = (
            *(self.name, f"{self.seconds:,.0f}", f"{self.per_second:,.0f}"),
            *(f"{self.n_answered:,}", f"{self.n_rejected:,}", f"{self.n_failed:,}"),
            *(f"{wait:,.1f}" for wait in self.waits_ms),
            *(f"{self.server_cores:.2f}", f"{self.client_cores:.2f}{' ⚠' if self.is_limited_by_client else ''}"),
            f"{self.memory:,.0f}",
        )
        return f"| {' | '.join(cells)} |"


def locust_statistics(output: str) -> list[dict[str, Any]]:
    """The figures that ``locust --json`` prints last on standard output."""
    found: list[dict[str, Any]] = json.loads(output[output.index("[") :])
    return found


def report(phases: Sequence[Phase], *, workers: int, lost: int, busy: float, notes: Sequence[str]) -> str:
    """The whole report; ``busy``: the machine's load average before the first phase, ``lost``: answered, not logged."""
    head = "# Load profile of the API"
    told = [
        f"{workers} workers; load average of the machine before the first phase: {busy:.1f}.",
        "Waits count from when a request was due. Rejected are 429 and 503; ⚠ marks phases in which the client had no "
        f"processor time to spare ({CLIENT_IS_THE_LIMIT:.0%} of a core), so that it was the limit, or part of it.",
    ]
    table = [
        f"| {' | '.join(_COLUMNS)} |",
        f"| {' | '.join(['---'] + ['---:'] * (len(_COLUMNS) - 1))} |",
        *(phase.line() for phase in phases),
    ]
    findings = [f"- {note}" for note in (*_findings(phases), *notes)]
    findings.append(f"- Decisions answered and not in the log: {lost}.")
    return "\n\n".join([head, *told, "\n".join(table), "\n".join(findings)]) + "\n"


def _findings(phases: Sequence[Phase]) -> list[str]:
    found = []
    steps = [phase for phase in phases if phase.name.startswith("stress")]
    held = [phase for phase in steps if phase.is_kept_up]
    if steps:
        most = max((phase.per_second for phase in held), default=0)
        broken = next((phase for phase in steps if not phase.is_kept_up), None)
        until = f"it broke at {broken.per_second:,.0f} a second" if broken else "no step broke it"
        limit = " (the client was at its limit there)" if broken and broken.is_limited_by_client else ""
        found.append(f"Stress: kept up with {most:,.0f} requests a second; {until}{limit}.")
    soak = [phase for phase in phases if phase.name.startswith("soak")]
    if len(soak) > 1:
        grown, hours = soak[-1].memory - soak[0].memory, sum(phase.seconds for phase in soak[1:]) / 3600
        found.append(
            f"Soak: {grown:+,.1f} MB from the end of its first part to its end, {grown / hours:+,.0f} MB an hour."
        )
    return found


def _wait(waits: dict[float, int], share: float) -> float:
    n_left = share * sum(waits.values())
    for wait in sorted(waits):
        n_left -= waits[wait]
        if n_left <= 0:
            return wait
    return float("nan")
