"""``serving.person_requests``: when, by whom and how much data was exported or erased; never whose.

An erasure also keeps a mark of the person, made with the home's key, that proves the erasure but does not give the id.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import duckdb

from warehouse.settings import Erasure


def record_request(
    con: duckdb.DuckDBPyConnection,
    kind: Literal["export", "erase"],
    *,
    by: str,
    reason: str,
    counts: Mapping[str, int],
    person: str | None = None,
    treatment: Erasure | None = None,
    models: Sequence[str] | None = None,
    request_id: str | None = None,
) -> None:
    """Add a row unless ``request_id`` exists; ``counts``: rows by table; ``reason`` must not name anyone.

    Of an erasure, ``person``: :meth:`Pseudonyms.mark`; ``models``: those trained on their data.
    """
    con.execute(
        "insert into serving.person_requests by name select $1 as request_id, $2 as kind, $3 as requested_at, "
        "$4 as requested_by, $5 as reason, $6 as counts, $7 as person, $8 as treatment, $9 as models "
        "where not exists (from serving.person_requests where request_id = $1)",
        [
            request_id or str(uuid.uuid4()),
            kind,
            datetime.now(UTC).replace(tzinfo=None),
            by,
            reason,
            json.dumps(counts),
            person,
            treatment,
            None if models is None else json.dumps(models),
        ],
    )


def last_erasure(con: duckdb.DuckDBPyConnection, person: str) -> datetime | None:
    """When the person with this mark was last erased, UTC; None if never."""
    try:
        row = con.execute(
            "select max(requested_at) from serving.person_requests where kind = 'erase' and person = $1", [person]
        ).fetchone()
    except duckdb.CatalogException:
        return None  # no program has written to this lake yet
    return row[0] if row else None
