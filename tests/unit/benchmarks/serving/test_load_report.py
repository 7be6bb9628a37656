"""The report of a load profile says what the phases found, and where the client was the limit."""

from collections import Counter
from typing import Any

import pytest

from benchmarks.serving.arrivals import Arrivals
from benchmarks.serving.load_report import Phase, locust_statistics, report


def phase(name: str = "stress", **changed: Any) -> Phase:
    """A phase of 1,000 requests in ten seconds, all answered."""
    found: dict[str, Any] = {
        "seconds": 10.0,
        "per_second": 100.0,
        "n_answered": 1_000,
        "n_rejected": 0,
        "n_failed": 0,
        "waits_ms": (4.0, 8.0, 16.0, 32.0),
        "server_cores": 0.5,
        "client_cores": 0.1,
        "memory": 150.0,
    }
    return Phase(name, **(found | changed))


def told(*phases: Phase, lost: int = 0) -> str:
    return report(phases, workers=2, lost=lost, busy=0.5, notes=["a note"])


def test_rejections_are_no_failures_and_waits_are_those_of_answers() -> None:
    found = Arrivals(
        waits=[n / 1_000 for n in range(1, 101)], statuses=Counter({200: 100, 429: 3, 503: 4, 500: 2, 0: 1})
    )

    of_arrivals = Phase.of_arrivals(
        "peak", found, seconds=10.0, per_second=11.0, server_cores=1.0, client_cores=0.2, memory=160.0
    )

    assert (of_arrivals.n_answered, of_arrivals.n_rejected, of_arrivals.n_failed) == (100, 7, 3)
    assert of_arrivals.waits_ms == pytest.approx((51, 96, 100, 100))


def test_locusts_waits_are_added_over_its_rows_and_rejections_are_rows_of_their_own() -> None:
    statistics = [
        {"name": "/v1/scores", "num_requests": 90, "num_failures": 2, "response_times": {"10": 50, "20": 38}},
        {"name": "/v1/scores", "num_requests": 10, "num_failures": 0, "response_times": {"20": 2, "300": 10}},
        {"name": "rejected 503", "num_requests": 5, "num_failures": 0, "response_times": {"1": 5}},
    ]

    found = Phase.of_locust(
        "users", statistics, seconds=20.0, seconds_sent=10.0, server_cores=1.0, client_cores=0.2, memory=160.0
    )

    assert (found.n_answered, found.n_rejected, found.n_failed) == (98, 5, 2)
    assert found.per_second == 10.5
    assert found.waits_ms == (10.0, 300.0, 300.0, 300.0)


def test_locusts_figures_are_what_it_prints_last() -> None:
    assert locust_statistics('warning: few sockets\n[{"name": "/v1/scores"}]\n') == [{"name": "/v1/scores"}]


@pytest.mark.parametrize(
    ("changed", "is_kept_up"),
    [
        ({}, True),
        ({"n_answered": 990, "n_rejected": 10}, True),
        ({"n_answered": 989, "n_rejected": 11}, False),
        ({"n_answered": 989, "n_failed": 11}, False),
        ({"waits_ms": (4.0, 8.0, 1_001.0, 2_000.0)}, False),
    ],
)
def test_a_server_keeps_up_while_99_of_100_are_answered_within_a_second(
    changed: dict[str, Any], is_kept_up: bool
) -> None:
    assert phase(**changed).is_kept_up is is_kept_up


def test_the_step_that_broke_is_named_and_whether_the_client_was_the_limit() -> None:
    held, broken = phase("stress 500", per_second=500.0), phase("stress 900", per_second=900.0, n_failed=500)

    assert "Stress: kept up with 500 requests a second; it broke at 900 a second." in told(held, broken)
    assert "kept up with 500 requests a second; no step broke it." in told(held)
    limited = phase("stress 900", per_second=900.0, n_failed=500, client_cores=0.9)
    assert "broke at 900 a second (the client was at its limit there)" in told(held, limited)
    assert "| 0.90 ⚠ |" in told(limited)
    assert "| 0.10 ⚠ |" not in told(held)


def test_a_soak_that_grows_says_by_how_much_an_hour() -> None:
    parts = [phase(f"soak {n}", seconds=1_800.0, memory=150.0 + 3 * n) for n in range(3)]

    assert "Soak: +6.0 MB from the end of its first part to its end, +6 MB an hour." in told(*parts)


def test_decisions_that_were_answered_and_not_logged_are_counted() -> None:
    assert told(phase(), lost=3).endswith("- a note\n- Decisions answered and not in the log: 3.\n")
