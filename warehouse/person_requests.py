"""``serving.person_requests``: that someone's data was exported, when, by whom and how much; never whose or what."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import duckdb


def record_request(
    con: duckdb.DuckDBPyConnection,
    kind: Literal["export", "erase"],
    *,
    by: str,
    reason: str,
    counts: Mapping[str, int],
) -> None:
    """Add a row; ``con`` is a writer's. ``counts``: rows by table. ``reason`` is kept as given: no names in it."""
    con.execute(
        "insert into serving.person_requests values ($1, $2, $3, $4, $5, $6)",
        [str(uuid.uuid4()), kind, datetime.now(UTC).replace(tzinfo=None), by, reason, json.dumps(counts)],
    )
