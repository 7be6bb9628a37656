"""Whether services without a port work: Dagster's GraphQL reports the last ticks of its daemon's sensors, and the
process that reads streams says itself how far each is.
"""

from pathlib import Path
from typing import Any

import httpx

from warehouse.settings import Settings
from warehouse.sources.streaming.lag import known_lags

#: The sensor that moves decisions from the API's log into the lake.
_SENSOR = "decisions_to_ingest"
_QUERY = """
query Readiness($sensor: String!) {
  sensorOrError(sensorSelector: {
    repositoryName: "__repository__", repositoryLocationName: "loanlake", sensorName: $sensor
  }) { ... on Sensor { sensorState { status ticks(limit: 1) { timestamp } } } }
}
"""


def decisions_become_rows(dagster_socket: Path, *, since: float) -> str | None:
    """The state of moving decisions into the lake; None before the daemon's first look after ``since``."""
    state = _sensor_state(dagster_socket)
    if state is None:
        return None
    if state["status"] == "STOPPED":
        return f"runs, but its sensor {_SENSOR} is stopped: start it in Dagster, or decisions do not become rows"
    is_looking = any(tick["timestamp"] >= since for tick in state["ticks"])
    return "runs: decisions become rows within a minute" if is_looking else None


def streams_are_read(settings: Settings, *, since: float) -> str | None:
    """How far each stream is; None before the process has said so after ``since``."""
    found = [lag for lag in known_lags(settings) if lag.at >= since]
    if not found:
        return None
    return "runs: " + "; ".join(
        f"{lag.source} {lag.entity}: {lag.problem or f'{lag.messages:,} messages wait'}" for lag in found
    )


def _sensor_state(dagster_socket: Path) -> dict[str, Any] | None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(dagster_socket)), timeout=10) as client:
        try:
            answer = client.post(
                "http://localhost/graphql", json={"query": _QUERY, "variables": {"sensor": _SENSOR}}
            ).raise_for_status()
            found: dict[str, Any] | None = answer.json()["data"]["sensorOrError"].get("sensorState")
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
            return None  # Dagster is still loading
    return found
