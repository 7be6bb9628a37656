"""How far each stream is behind its topic: a small file of the home, which the API shows at ``/metrics``."""

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from warehouse.errors import MonitoringError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

log = logging.getLogger("loanlake")


@dataclass(frozen=True)
class StreamLag:
    """One entity's stream. ``seconds``: how old the oldest message is that is not loaded; 0 where all are.

    ``messages``: how many those are, as far as known. ``loaded``, ``set_aside``: messages since the process began.
    ``unserved_seconds``: since when the online store lacks rows that are loaded. ``problem``: why it does not read;
    empty if it does. ``at``: when this was so, seconds since 1970.
    """

    source: str
    entity: str
    at: float
    partitions: int = 0
    messages: int = 0
    seconds: float = 0.0
    loaded: int = 0
    set_aside: int = 0
    unserved_seconds: float = 0.0
    problem: str = ""


def lag_file(settings: Settings, source: str, entity: str) -> Path:
    """Where a stream says how far it is."""
    return settings.streams / f"{source}-{entity}.json"


def write_lag(settings: Settings, lag: StreamLag) -> None:
    """Replace the stream's file."""
    replace_file(lag_file(settings, lag.source, lag.entity), msgspec.json.encode(lag))


def known_lags(settings: Settings) -> list[StreamLag]:
    """What the streams of the home say; a file that cannot be read is left out, and the stream seems to be silent."""
    found = []
    for path in sorted(settings.streams.glob("*.json")):
        try:
            found.append(read_lag(path))
        except MonitoringError as error:
            log.warning("%s", error)
    return found


def read_lag(path: Path) -> StreamLag:
    """What a stream's file says; raises MonitoringError if it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StreamLag)
    except (OSError, msgspec.MsgspecError) as error:
        raise MonitoringError(f"{path} must say how far a stream is: {error}") from None
