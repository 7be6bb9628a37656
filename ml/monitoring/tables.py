"""Monitoring tables: which months are due, and one transaction that replaces a month's rows if anything changed.

Drift and performance store with each month a digest of what it was measured from: its decisions, the training rows or
labels, the limits. A month is measured again when its digest is another one, so also after late decisions, an erasure
or a changed limit. Snapshots of the lake may expire meanwhile.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Protocol, TypeVar

import duckdb

from ml.monitoring.samples import MonitoredModel, decisions_of
from warehouse.lake.connection import connect, writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

#: Columns that identify a row of a model, if the table has them.
_KEYS = ("month", "feature", "kind", "column_name", "metric", "method")
_OWNER = ("source", "model_name", "model_version")
_STAMPS = ("measured_at", "measured_from")
#: Part of each digest. Raise it when a figure is computed in another way: all months are then measured again.
_METHOD = 3
# DuckDB sums doubles in the order its threads finish, so last digits differ between runs
_RELATIVE_TOLERANCE = 1e-9


class Measurement(Protocol):
    """A row of a monitoring table without owner and time: a frozen dataclass with the table's column names."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def month(self) -> date:
        """First day of the month of the decisions."""


_Row = TypeVar("_Row", bound=Measurement)


def decided_months(con: duckdb.DuckDBPyConnection, model: MonitoredModel, *basis: object) -> dict[date, str]:
    """A digest of each month's decisions (their number, and when the newest came into the lake) and of ``basis``."""
    where, parameters = decisions_of(model, None)
    rows = con.execute(
        f"select date_trunc('month', decided_at)::date as month, count(*), max(ingested_at) from {model.decisions} "
        f"where {where} group by month",
        parameters,
    ).fetchall()
    return {month: digest(model.decisions, *decided, *basis) for month, *decided in rows}


def digest(*measured_from: object) -> str:
    """A short text that differs if any of the values does, by their ``repr``."""
    return hashlib.sha256(repr((_METHOD, *measured_from)).encode()).hexdigest()[:16]


def due_months(
    con: duckdb.DuckDBPyConnection, table: str, model: MonitoredModel, measured_from: Mapping[date, str]
) -> list[date]:
    """Months whose digest is not the one that ``table`` has, those without decisions now included; ascending."""
    where, parameters = decisions_of(model, None)
    stored = dict(
        con.execute(
            f"select month, min(measured_from) from {table} where {where} group by month", parameters
        ).fetchall()
    )
    return sorted(month for month in measured_from.keys() | stored if measured_from.get(month) != stored.get(month))


def recorded(
    con: duckdb.DuckDBPyConnection, table: str, model: MonitoredModel, row_type: type[_Row]
) -> tuple[_Row, ...]:
    """All rows of the model in ``table``, by month."""
    where, parameters = decisions_of(model, None)
    names = ", ".join(field.name for field in fields(row_type))
    rows = con.execute(f"select {names} from {table} where {where} order by month", parameters).fetchall()
    return tuple(row_type(**dict(zip(names.split(", "), row, strict=True))) for row in rows)


def months_measured_since(settings: Settings, table: str, model: MonitoredModel, moment: datetime) -> list[date]:
    """Months of the model that were written at or after a moment, in UTC without zone."""
    where, parameters = decisions_of(model, None)
    with connect(settings) as con:
        rows = con.execute(
            f"select distinct month from {table} where {where} and measured_at >= $4 order by month",
            [*parameters, moment],
        ).fetchall()
    return [month for (month,) in rows]


def replace_months(
    settings: Settings,
    table: str,
    model: MonitoredModel,
    rows: Sequence[Measurement],
    *,
    months: Sequence[date] | None = None,
    measured_from: Mapping[date, str] | None = None,
) -> tuple[date, ...]:
    """Make ``table`` hold exactly ``rows`` for this model and these months; return the rewritten months.

    ``months`` None means all: stored months missing from ``rows`` are removed. If the figures are equal, nothing is
    written and no lease is acquired. ``measured_from``: the months' new digests, which are written in any case.
    """
    columns = [column for column in program_tables()[table] if column not in (*_OWNER, *_STAMPS)]
    measured = _by_key(asdict(row) for row in rows)
    stored = _by_key(_stored(settings, table, model, columns))
    different = {
        key[0]
        for key in measured.keys() | stored.keys()
        if measured_from is not None or not _equal(stored.get(key), measured.get(key))
    }
    changed = sorted(different if months is None else different & set(months))
    if changed:
        new = [
            {**row, "measured_from": (measured_from or {}).get(month)}
            for (month, *_), row in measured.items()
            if month in changed
        ]
        _write(settings, table, model, changed, new)
    return tuple(changed)


def _stored(settings: Settings, table: str, model: MonitoredModel, columns: Sequence[str]) -> list[dict[str, object]]:
    where, parameters = decisions_of(model, None)
    with connect(settings) as con:
        rows = con.execute(f"select {', '.join(columns)} from {table} where {where}", parameters).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _write(
    settings: Settings,
    table: str,
    model: MonitoredModel,
    months: Sequence[date],
    rows: Sequence[Mapping[str, object]],
) -> None:
    import pyarrow as pa

    stamp = {
        "source": model.source,
        "model_name": model.name,
        "model_version": model.version,
        "measured_at": datetime.now(UTC).replace(tzinfo=None),
    }
    complete = [{**row, **stamp} for row in rows]
    where, owner = decisions_of(model, None)
    with writer(f"measure {table} of {model.name} version {model.version}", settings) as con:
        con.execute("begin")
        con.execute(f"delete from {table} where {where} and list_contains($4::date[], month)", [*owner, list(months)])
        if complete:
            # one statement: the lake writes a file for each insert
            con.register("measured", pa.Table.from_pylist(complete))
            casts = ", ".join(
                f"{column}::{data_type} as {column}" for column, data_type in program_tables()[table].items()
            )
            con.execute(f"insert into {table} by name select {casts} from measured")
        con.execute("commit")


def _by_key(rows: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row.get(name) for name in _KEYS): row for row in rows}


def _equal(stored: Mapping[str, object] | None, measured: Mapping[str, object] | None) -> bool:
    if stored is None or measured is None or stored.keys() != measured.keys():
        return False
    return all(_same(stored[column], measured[column]) for column in measured)


def _same(old: object, new: object) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=_RELATIVE_TOLERANCE, abs_tol=1e-12)
    return old == new
