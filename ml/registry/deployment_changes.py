"""Deployment changes as rows of the lake: ``serving.deployment_changes`` and ``serving.approvals``.

They copy the files of history and approvals, which are written with each change, so that a rollback never waits for the
lake. Each row is written once, by whichever process does it.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import duckdb

from ml.registry.approval import Approval, read_approvals
from ml.registry.deployment import Change, read_history
from warehouse.errors import LakeError
from warehouse.lake.connection import connect, writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

#: By table and lender: all expected rows, each after its number.
_Rows = Mapping[str, Mapping[str, Sequence[list[Any]]]]


def record_changes(settings: Settings) -> int:
    """Add the files' new lines to the lake's tables; return their number. Without any, acquires no lease."""
    lenders = settings.recorded_lenders()
    rows: _Rows = {
        "serving.deployment_changes": {
            lender: [
                [number, *_change(change)] for number, change in enumerate(read_history(settings, lender), start=1)
            ]
            for lender in lenders
        },
        "serving.approvals": {
            lender: [
                [number, *_approval(each)] for number, each in enumerate(read_approvals(settings, lender), start=1)
            ]
            for lender in lenders
        },
    }
    if not _any_missing(settings, rows):
        return 0
    n_gained = 0
    with writer("deployment changes and approvals", settings) as con:
        for table, of_table in rows.items():
            missing = _missing(con, table, of_table)
            if missing:
                places = ", ".join("?" for _ in program_tables()[table])
                con.executemany(
                    f"insert into {table} ({', '.join(program_tables()[table])}) values ({places})", missing
                )
            n_gained += len(missing)
    return n_gained


def _any_missing(settings: Settings, rows: _Rows) -> bool:
    try:
        with closing(connect(settings)) as con:
            return any(_missing(con, table, of_table) for table, of_table in rows.items())
    except (LakeError, duckdb.CatalogException):
        # the writer creates missing tables
        return any(of_lender for of_table in rows.values() for of_lender in of_table.values())


def _missing(
    con: duckdb.DuckDBPyConnection, table: str, of_table: Mapping[str, Sequence[list[Any]]]
) -> list[list[Any]]:
    number = next(iter(program_tables()[table]))
    newest = dict(con.execute(f"select source, max({number}) from {table} group by source").fetchall())
    return [row for lender, rows in of_table.items() for row in rows if row[0] > newest.get(lender, 0)]


def _change(change: Change) -> list[Any]:
    served, challenger = change.deployment, change.deployment.challenger
    return [
        change.action,
        _naive_utc(change.at),
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


def _approval(approval: Approval) -> list[Any]:
    return [
        _naive_utc(approval.at),
        approval.by,
        approval.source,
        approval.model_name,
        approval.model_version,
        list(approval.overridden),
        approval.reason,
        approval.serve,
    ]


def _naive_utc(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC).replace(tzinfo=None)
