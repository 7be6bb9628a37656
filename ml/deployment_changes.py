"""Every change of what is served, as rows of the lake: ``serving.deployment_changes`` follows the deployment's history.

The history file is written with the change, so that a rollback never waits for the lake; the rows come after it, each
once, whoever brings them.
"""

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import duckdb

from ml.deployment import Change, read_history
from warehouse.errors import LakeError
from warehouse.lake import connect, writer
from warehouse.settings import Settings

_TABLE = "serving.deployment_changes"


def record_changes(settings: Settings) -> int:
    """Bring the lake's table up to the history; the number of rows it gained. Takes the writer lease only for some."""
    changes = list(enumerate(read_history(settings), start=1))
    if not _missing(settings, changes):
        return 0
    with writer("deployment changes", settings) as con:
        missing = [change for change in changes if change[0] > _newest(con)]
        con.executemany(
            f"insert into {_TABLE} (change, action, changed_at, changed_by, source, model_name, champion_version, "
            "challenger_version, mode, share, why, figures) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(number, change) for number, change in missing],
        )
    return len(missing)


def _missing(settings: Settings, changes: list[tuple[int, Change]]) -> bool:
    try:
        with closing(connect(settings)) as con:
            return any(number > _newest(con) for number, _ in changes)
    except (LakeError, duckdb.CatalogException):
        return bool(changes)  # the writer makes what is not there yet


def _newest(con: duckdb.DuckDBPyConnection) -> int:
    return int(con.execute(f"select coalesce(max(change), 0) from {_TABLE}").fetchall()[0][0])


def _row(number: int, change: Change) -> list[Any]:
    served, challenger = change.deployment, change.deployment.challenger
    return [
        number,
        change.action,
        datetime.fromisoformat(change.at).astimezone(UTC).replace(tzinfo=None),
        change.by,
        served.source,
        served.model_name,
        served.model_version,
        challenger.deployment.model_version if challenger else None,
        challenger.mode if challenger else None,
        challenger.share if challenger else None,
        change.why,
        json.dumps(change.figures),
    ]
