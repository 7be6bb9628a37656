"""``monitoring.walk_forward`` and ``monitoring.walk_forward_decisions``: a month is replaced as a whole.

A month's row names its first and last champion, all that the next month needs, so a walk continues from what is stored.
If a repeated month ends with another champion, the later months are removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import duckdb

from ml.monitoring.performance import Performance
from ml.walk_forward.plan import RetrainingPolicy, WalkPlan, next_month
from warehouse.lake.connection import connect, writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

TABLE, DECISIONS = "monitoring.walk_forward", "monitoring.walk_forward_decisions"
_OUTCOMES = ("n_mature", "n_defaults", "default_rate", "mean_probability", "auc", "brier", "ece")
_OF_POLICY = "run = $1 and source = $2 and policy = $3"


@dataclass(frozen=True)
class WalkedMonth:
    """One row of ``monitoring.walk_forward``; figures are None without champion, decision or label."""

    run: str
    source: str
    policy: RetrainingPolicy
    month: date
    champion: str | None
    champion_month: date | None
    champion_before: str | None
    is_retrained: bool
    is_promoted: bool
    why: str
    n_decisions: int
    n_declined: int
    n_referred: int
    feature_version: str
    label_window_months: int
    lake_snapshot: int
    score_psi: float | None = None
    is_score_drifted: bool | None = None
    worst_feature: str | None = None
    worst_feature_psi: float | None = None
    n_features_drifted: int | None = None
    n_features: int | None = None
    n_mature: int | None = None
    n_defaults: int | None = None
    default_rate: float | None = None
    mean_probability: float | None = None
    auc: float | None = None
    brier: float | None = None
    ece: float | None = None
    labels_known_until: datetime | None = None
    walked_at: datetime | None = None

    @property
    def calibration_gap(self) -> float | None:
        """Mean probability minus default rate: positive if the champion expected too many defaults."""
        if self.mean_probability is None or self.default_rate is None:
            return None
        return self.mean_probability - self.default_rate


def read_walk(con: duckdb.DuckDBPyConnection, *, run: str, source: str) -> list[WalkedMonth]:
    """Every month of a run, by policy and month; may be empty."""
    return _read(con, "run = $1 and source = $2 order by policy, month", [run, source])


def read_month(
    con: duckdb.DuckDBPyConnection, plan: WalkPlan, policy: RetrainingPolicy, month: date
) -> WalkedMonth | None:
    """A month of a run under a policy, or None."""
    found = _read(con, f"{_OF_POLICY} and month = $4", [plan.run, plan.source, policy, month])
    return found[0] if found else None


def write_month(settings: Settings, walked: WalkedMonth, decisions: "pa.Table") -> bool:
    """Replace a month and its decisions; return whether later months were removed.

    They are removed if the next one began with another champion. ``decisions``: as
    the walk decides them.
    """
    key = [walked.run, walked.source, walked.policy]
    stamped = replace(walked, walked_at=datetime.now(UTC).replace(tzinfo=None))
    with writer(f"walk forward {walked.source} {walked.month:%Y-%m} {walked.policy}", settings) as con:
        con.execute("begin")
        after = _read(con, f"{_OF_POLICY} and month = $4", [*key, next_month(walked.month)])
        began_with = [(found.champion_before, found.label_window_months) for found in after]
        is_broken = any(each != (walked.champion, walked.label_window_months) for each in began_with)
        months = "month >= $4" if is_broken else "month = $4"
        for table in (TABLE, DECISIONS):
            con.execute(f"delete from {table} where {_OF_POLICY} and {months}", [*key, walked.month])
        _insert(con, [stamped])
        if decisions.num_rows:
            _insert_decisions(con, walked, decisions)
        con.execute("commit")
    return is_broken


def write_performance(
    settings: Settings,
    plan: WalkPlan,
    policy: RetrainingPolicy,
    measured: Mapping[date, Performance],
    *,
    known_until: datetime,
) -> None:
    """Store the outcomes of a policy's decisions by month; writes only changes."""
    import pyarrow as pa

    key = [plan.run, plan.source, policy]
    with connect(settings) as con:
        stored = _read(con, _OF_POLICY, key)
    judged = [_judged(row, measured.get(row.month), known_until) for row in stored]
    changed = [new for old, new in zip(stored, judged, strict=True) if old != new]
    if not changed:
        return
    with writer(f"walk forward {plan.source}: performance of {policy}", settings) as con:
        con.execute("begin")
        con.register("changed_months", pa.table({"month": [row.month for row in changed]}))
        con.execute(f"delete from {TABLE} where {_OF_POLICY} and month in (select month from changed_months)", key)
        _insert(con, changed)
        con.execute("commit")


def _judged(row: WalkedMonth, found: Performance | None, known_until: datetime) -> WalkedMonth:
    if found is None:
        return replace(row, n_mature=0, n_defaults=0, labels_known_until=known_until)
    return replace(row, **{name: getattr(found, name) for name in _OUTCOMES}, labels_known_until=known_until)


def _read(con: duckdb.DuckDBPyConnection, where: str, parameters: Sequence[object]) -> list[WalkedMonth]:
    names = [field.name for field in fields(WalkedMonth)]
    try:
        rows = con.execute(f"select {', '.join(names)} from {TABLE} where {where}", list(parameters)).fetchall()
    except duckdb.CatalogException:
        return []  # a lake from before walks, not written since
    return [WalkedMonth(**dict(zip(names, row, strict=True))) for row in rows]


def _insert(con: duckdb.DuckDBPyConnection, rows: Sequence[WalkedMonth]) -> None:
    import pyarrow as pa

    con.register("walked_months", pa.Table.from_pylist([asdict(row) for row in rows]))
    con.execute(f"insert into {TABLE} by name select {_casts(TABLE, {})} from walked_months")


def _insert_decisions(con: duckdb.DuckDBPyConnection, walked: WalkedMonth, decisions: "pa.Table") -> None:
    same_for_all: dict[str, Any] = {
        name: getattr(walked, name) for name in ("run", "source", "policy", "month", "champion", "lake_snapshot")
    }
    con.register("walked_decisions", decisions)
    con.execute(
        f"insert into {DECISIONS} by name select {_casts(DECISIONS, same_for_all)} from walked_decisions", same_for_all
    )


def _casts(table: str, parameters: Mapping[str, object]) -> str:
    return ", ".join(
        f"{f'${column}' if column in parameters else column}::{data_type} as {column}"
        for column, data_type in program_tables()[table].items()
    )
