"""What the built tables and raw rows say of a lender: rejects, labels, splits, single columns, personal columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

import duckdb
import numpy as np
import yaml

from ml.judging.leakage import FeatureSignal, signal_of
from ml.lender_check.changes import changed_settings
from ml.lender_check.newest_months import Ahead, Apart, Month, ahead_of_files, apart, clock_apart
from ml.training.label_life import NoLife, loans_without_a_life
from ml.training.training_set import KEY_COLUMNS
from warehouse.errors import NotFoundError
from warehouse.lake.feature_tables import training_version
from warehouse.lake.training_rows import training_tables
from warehouse.lenders.lender import Lender
from warehouse.profiling.personal import personal
from warehouse.profiling.profile import profile_table
from warehouse.readers.csv_lines import NOTE
from warehouse.settings import DBT_PROJECT_DIR
from warehouse.sources.rows_set_aside import Loss, losses
from warehouse.sql.quoting import identifier

#: Personal columns show in a few rows.
_SAMPLED_ROWS = 10_000
_LINES = 3
#: Alerts about data, not models.
_KINDS = ("actual_terms", "outcome_dates")


@dataclass(frozen=True)
class Reject:
    """Rows set aside for one reason; ``lines``: the first, as ``file:line``."""

    entity: str
    column: str | None
    reason: str
    n_rows: int
    example: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class SplitSize:
    """One part of training."""

    split: str
    n_rows: int
    n_defaults: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Alert:
    """What the build found wrong with the lender's data, as ``monitoring.alerts`` says it."""

    kind: str
    message: str


@dataclass(frozen=True)
class PersonalColumn:
    """A raw column that looks personal. ``is_declared``: under ``personal`` or as an id; ``is_read``: by staging."""

    table: str
    column: str
    what: str
    is_declared: bool
    is_read: bool


@dataclass(frozen=True)
class LenderEvidence:
    """Everything that is found of a lender; ``is_dated``: whether its decisions have dates of their own.

    ``changed``: settings of its file that the last build did not have. ``apart``: decisions far after all others.
    ``clock_apart``: rows known far after all others. ``ahead``: rows known before they were received. ``no_life``:
    loans that can never have a label.
    """

    source: str
    is_dated: bool = True
    losses: Sequence[Loss] = ()
    rejects: Sequence[Reject] = ()
    months: Sequence[Month] = ()
    splits: Sequence[SplitSize] = ()
    split_reason: str = ""
    is_split_by_time: bool = True
    signals: Sequence[FeatureSignal] = ()
    changed: Sequence[str] = ()
    apart: Apart | None = None
    clock_apart: Apart | None = None
    ahead: Ahead | None = None
    no_life: NoLife | None = None
    alerts: Sequence[Alert] = ()
    personal: Sequence[PersonalColumn] = ()


def gather(con: duckdb.DuckDBPyConnection, source: str, lender: Lender) -> LenderEvidence:
    """Read the state of a lender, whose file has these settings; raises NotFoundError if nothing of it is built."""
    try:
        months = _months(con, source)
    except duckdb.CatalogException:
        months = []
    if not months:
        raise NotFoundError(
            f"{source} has no applications in the lake: load its files with `loanlake ingest {source} FILES --entity "
            "…`, then run `dbt build --target prod` in warehouse/"
        )
    is_dated = _is_dated(con, source)
    split_reason, is_by_time = _split_reason(con, source)
    return LenderEvidence(
        source=source,
        is_dated=is_dated,
        losses=losses(con, source),
        rejects=_rejects(con, source),
        months=months,
        splits=_splits(con, source),
        split_reason=split_reason,
        is_split_by_time=is_by_time,
        signals=tuple(_signals(con, source)),
        changed=changed_settings(con, source, lender),
        apart=apart(con, source, months) if is_dated else None,
        clock_apart=clock_apart(con, source) if is_dated else None,
        ahead=ahead_of_files(con, source),
        no_life=loans_without_a_life(con, source),
        alerts=_alerts(con, source),
        personal=tuple(_personal(con, source)),
    )


def _is_dated(con: duckdb.DuckDBPyConnection, source: str) -> bool:
    found = con.execute("select is_dated from core.int_lenders where source = ?", [source]).fetchone()
    return found is None or bool(found[0])


def _rejects(con: duckdb.DuckDBPyConnection, source: str) -> list[Reject]:
    rows = con.execute(
        "select entity, column_name, left(reason, 200), count(distinct (file, line)) as n, min(left(value, 60)), "
        f"list(distinct file || ':' || line order by file || ':' || line)[:{_LINES}] "
        "from raw.quarantine where source = ? and reason <> ? group by 1, 2, 3 order by n desc, 1, 2, 3",
        [source, NOTE],
    ).fetchall()
    return [
        Reject(entity, column, reason, n_rows, example, tuple(lines))
        for entity, column, reason, n_rows, example, lines in rows
    ]


def _months(con: duckdb.DuckDBPyConnection, source: str) -> list[Month]:
    rows = con.execute(
        "select strftime(applications.decided_at, '%Y-%m') as month, count(*), count(outcomes.application_id), "
        "count(labels.application_id), count(*) filter (labels.is_default) "
        "from core.int_applications as applications "
        "left join core.int_outcomes as outcomes on outcomes.application_id = applications.application_id "
        "left join training.lbl_default as labels on labels.application_id = applications.application_id "
        "where applications.source = ? group by month order by month",
        [source],
    ).fetchall()
    return [Month(*row) for row in rows]


def _splits(con: duckdb.DuckDBPyConnection, source: str) -> list[SplitSize]:
    rows = con.execute(
        "select split, count(*), count(*) filter (is_default), min(decided_at), max(decided_at) "
        "from training.lbl_default_splits where source = ? group by split order by min(decided_at), split",
        [source],
    ).fetchall()
    return [SplitSize(*row) for row in rows]


def _split_reason(con: duckdb.DuckDBPyConnection, source: str) -> tuple[str, bool]:
    """Why the labels are split as they are, and whether by time."""
    found = con.execute(
        "select reason, is_by_time from training.lbl_split_windows where source = ?", [source]
    ).fetchone()
    return found or ("", True)


def _signals(con: duckdb.DuckDBPyConnection, source: str) -> Iterator[FeatureSignal]:
    """Each feature on its own, column by column, on the rows that would train: of the lender's own version, if any."""
    versions = [training_version(table.partition(".")[2]) for table in training_tables(con)]
    newest = max(
        (each for each in versions if each is not None and each.lender in ("", source)),
        key=attrgetter("lender", "number"),
    )
    rows = f"{newest.training_table} where source = ? and split = 'train' order by application_id"
    (defaulted,) = con.execute(f"select is_default from {rows}", [source]).fetchnumpy().values()
    for name, data_type, *_ in con.execute(f"describe {newest.training_table}").fetchall():
        if name in KEY_COLUMNS:
            continue
        is_category = data_type == "VARCHAR"
        # booleans beside nulls are not numbers in pandas
        value = identifier(name) if is_category else f"cast({identifier(name)} as double)"
        column = con.execute(f"select {value} as value from {rows}", [source]).df()["value"]
        yield signal_of(name, column, np.asarray(defaulted, dtype=np.bool_), is_category=is_category)


def _alerts(con: duckdb.DuckDBPyConnection, source: str) -> list[Alert]:
    rows = con.execute(
        f"select kind, message from monitoring.alerts where source = ? and kind in {_KINDS} order by kind, message",
        [source],
    ).fetchall()
    return [Alert(*row) for row in rows]


def _personal(con: duckdb.DuckDBPyConnection, source: str) -> Iterator[PersonalColumn]:
    readings = DBT_PROJECT_DIR / "macros" / f"{source}.sql"
    read = readings.read_text() if readings.exists() else ""
    for path in sorted((DBT_PROJECT_DIR / "models" / "staging" / source).glob("*.yml")):
        for declared in yaml.safe_load(path.read_text()).get("sources", []):
            for table in declared["tables"]:
                meta = table.get("config", {}).get("meta", {})
                known = {*meta.get("personal", ()), *meta.get("identifies", ())}
                yield from _personal_columns(con, table["name"], known, read)


def _personal_columns(
    con: duckdb.DuckDBPyConnection, table: str, declared: set[str], readings: str
) -> Iterator[PersonalColumn]:
    con.execute(
        f"create or replace temp table sampled_rows as select * from raw.{identifier(table)} limit {_SAMPLED_ROWS}"
    )
    for column in profile_table(con, "sampled_rows", table).columns:
        what = personal(column)
        if what is not None:
            yield PersonalColumn(table, column.name, what, column.name in declared, f"'{column.name}'" in readings)
