"""The months for Dagster's backfills: only those with decisions, so that none appears as missing.

Every process defines partitions on loading, when opening the lake would cost a second: they come from a small file that
each build of the features writes.
"""

import json
from contextlib import closing
from datetime import date, datetime

import dagster as dg

from warehouse.files.replacing import replace_file
from warehouse.lake.connection import connect
from warehouse.settings import Settings

#: Before any lender's decisions; before the first build, all months since are offered.
_EARLIEST = date(2000, 1, 1)
#: If the newest decision is no older, each new month is offered as it begins.
_OPEN_MONTHS = 2


def month_partitions(
    settings: Settings, *, fmt: str = "%Y-%m-%d", with_running_month: bool = False, today: date | None = None
) -> dg.MonthlyPartitionsDefinition:
    """From the first month with a decision to the last or, for an active lender, the last complete month.

    ``with_running_month``: then to the current month.
    """
    first, last = _read(settings)
    running = (today or datetime.now().date()).replace(day=1)
    if last is None or _months(last, running) <= _OPEN_MONTHS:
        return dg.MonthlyPartitionsDefinition(
            start_date=first.strftime(fmt), fmt=fmt, end_offset=int(with_running_month)
        )
    return dg.MonthlyPartitionsDefinition(
        start_date=first.strftime(fmt), end_date=_next_month(last).strftime(fmt), fmt=fmt
    )


def note_months(settings: Settings) -> None:
    """Store the first and last month with a decision for the next start of Dagster."""
    with closing(connect(settings)) as con:
        [(first, last)] = con.execute("select min(decided_at), max(decided_at) from core.int_applications").fetchall()
    if first is None:
        return
    noted = {"first": f"{first:%Y-%m-01}", "last": f"{last:%Y-%m-01}"}
    replace_file(settings.months, json.dumps(noted))


def _read(settings: Settings) -> tuple[date, date | None]:
    try:
        noted = json.loads(settings.months.read_text())
    except FileNotFoundError:
        return _EARLIEST, None
    return date.fromisoformat(noted["first"]), date.fromisoformat(noted["last"])


def _months(earlier: date, later: date) -> int:
    return 12 * (later.year - earlier.year) + later.month - earlier.month


def _next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
