"""Monitoring tables: one transaction replaces a month's rows, and only if a figure changed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Protocol

from ml.monitoring.samples import MonitoredModel, decisions_of
from warehouse.lake.connection import connect, writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

#: Columns that identify a row of a model, if the table has them.
_KEYS = ("month", "feature", "kind", "column_name", "metric", "method")
_OWNER = ("source", "model_name", "model_version")
# DuckDB sums doubles in the order its threads finish, so last digits differ between runs
_RELATIVE_TOLERANCE = 1e-9


class Measurement(Protocol):
    """A row of a monitoring table without owner and time: a frozen dataclass with the table's column names."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def month(self) -> date:
        """First day of the month of the decisions."""


def replace_months(
    settings: Settings,
    table: str,
    model: MonitoredModel,
    rows: Sequence[Measurement],
    *,
    months: Sequence[date] | None = None,
) -> tuple[date, ...]:
    """Make ``table`` hold exactly ``rows`` for this model and these months; return the rewritten months.

    ``months`` None means all: stored months missing from ``rows`` are removed. If the figures are equal, nothing is
    written and no lease is acquired.
    """
    columns = [column for column in program_tables()[table] if column not in (*_OWNER, "measured_at")]
    measured = _by_key(asdict(row) for row in rows)
    stored = _by_key(_stored(settings, table, model, columns))
    different = {key[0] for key in measured.keys() | stored.keys() if not _equal(stored.get(key), measured.get(key))}
    changed = sorted(different if months is None else different & set(months))
    if changed:
        _write(settings, table, model, changed, [row for (month, *_), row in measured.items() if month in changed])
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
