"""The two sides of every comparison over time: a model's training rows, and its decisions by month.

Both are temporary views of the reader's connection, one typed column per feature, missing and NaN as null. Views, since
a copy of the rows took four times as long as reading them once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.training.training_set import training_table
from warehouse.decision_log.features import decided_features
from warehouse.errors import MonitoringError
from warehouse.features.columns import FeatureColumn, Kind
from warehouse.features.contract import FeatureContract
from warehouse.lake.training_rows import rows_at
from warehouse.sql.quoting import identifier, literal

#: The temporary views of :func:`open_reference` and :func:`open_decisions`.
REFERENCE, CURRENT = "monitored_reference", "monitored_current"

PREDICTIONS, SHADOW_PREDICTIONS = "serving.predictions", "serving.shadow_predictions"
#: A from clause of all online scores: callers' decisions and those of a challenger in shadow.
SCORED_ONLINE = f"""(
    select * from {PREDICTIONS} where route <> 'backfill'
    union all by name
    select * exclude (answered_decision_id) from {SHADOW_PREDICTIONS}
) as scored"""

SAMPLE_SEED = 0
#: Rows in a batch that is read: those of a row group of the lake's files.
_BATCH_ROWS = 122_880
_TYPES: dict[Kind, str] = {"numeric": "double", "boolean": "boolean", "categorical": "varchar"}


@dataclass(frozen=True)
class MonitoredModel:
    """The model version to measure, and its source; ``decisions``: the table of its decisions."""

    source: str
    name: str
    version: int
    decisions: str = PREDICTIONS


def open_reference(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    *,
    source: str,
    snapshot: int,
    sample_rows: int | None = None,
) -> int:
    """Open the rows the model was fitted on, with each ``month``, at the lake's ``snapshot``; return their number.

    Raises MonitoringError if the snapshot has no training rows of the source.
    """
    table = training_table(contract.version)
    columns = ", ".join(present(feature, identifier(feature.name)) for feature in contract.features)
    con.execute(
        f"create or replace temp view {REFERENCE} as select date_trunc('month', decided_at)::date as month, {columns} "
        f"from {rows_at(con, table, snapshot)} where source = {literal(source)} and split = 'train' "
        f"{_drawn_by('application_id', sample_rows)}"
    )
    n_rows = count(con, REFERENCE)
    if n_rows == 0:
        raise MonitoringError(
            f"drift is measured against training rows, and {table} at snapshot {snapshot} has none of "
            f"source {source!r}: check the snapshot in the model's lineage"
        )
    return n_rows


def open_decisions(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    model: MonitoredModel,
    *,
    months: Sequence[date] | None = None,
    sample_rows: int | None = None,
) -> int:
    """Open the features the model saw, with ``month``; return the number of decisions.

    ``months``: first days; None: all.
    """
    where, parameters = decisions_of(model, months)
    [(n_decisions,)] = con.execute(f"select count(*) from {model.decisions} where {where}", parameters).fetchall()
    # a view cannot have parameters; a table of the decisions' ids took a tenth of the time of the whole comparison
    of_months = "" if months is None else f"[{', '.join(literal(str(month)) for month in months)}]"
    values = (literal(model.source), literal(model.name), str(model.version), of_months)
    where = re.sub(r"\$(\d)", lambda found: values[int(found[1]) - 1], where)
    columns = ", ".join(present(feature, f"seen.{identifier(feature.name)}") for feature in contract.features)
    con.execute(
        f"create or replace temp view {CURRENT} as select decided.month, {columns} from ("
        f"select decision_id, date_trunc('month', decided_at)::date as month from {model.decisions} where {where} "
        f"{_drawn_by('decision_id', sample_rows)}) as decided "
        f"join {decided_features(con, contract.version, contract.feature_types)} as seen using (decision_id)"
    )
    return int(n_decisions if sample_rows is None else min(n_decisions, sample_rows))


def decisions_of(model: MonitoredModel, months: Sequence[date] | None) -> tuple[str, list[object]]:
    """The condition on ``model.decisions`` that selects the model's decisions, and its parameters."""
    where = "source = $1 and model_name = $2 and model_version = $3"
    parameters: list[object] = [model.source, model.name, model.version]
    if months is not None:
        # with bounds, unlike the list alone, DuckDB skips whole files by their statistics
        where += (
            " and list_contains($4::date[], date_trunc('month', decided_at)::date)"
            " and decided_at >= list_min($4::date[]) and decided_at < list_max($4::date[]) + interval 1 month"
        )
        parameters.append(list(months))
    return where, parameters


def months_of(con: duckdb.DuckDBPyConnection) -> Mapping[date, int]:
    """The months of the opened decisions, ascending, with their numbers of decisions."""
    return dict(con.execute(f"select month, count(*) from {CURRENT} group by month order by month").fetchall())


@dataclass(frozen=True)
class Columns:
    """Features of one side by name: numbers, NaN if missing, and codes of labels.

    A code is the position in :func:`labels_of`, then one for any other value, then one for a missing one. ``months``:
    of each row, counted from 1970; None if they were not read.
    """

    values: Mapping[str, NDArray[Any]]
    months: NDArray[np.int64] | None

    def by_month(self) -> Iterator[tuple[date, Mapping[str, NDArray[Any]]]]:
        """The rows of each month, ascending; reorders ``values`` in place."""
        if self.months is None or not len(self.months):
            return
        first = int(self.months.min())
        counts = np.bincount(self.months - first)
        if len(counts) > 1:
            order = np.argsort((self.months - first).astype(np.uint16), kind="stable")
            for column in self.values.values():
                column[:] = column[order]
        end = 0
        for place, n_rows in enumerate(counts):
            start, end = end, end + int(n_rows)
            if n_rows:
                month = np.datetime64(first + place, "M").astype("datetime64[D]").astype(date)
                yield month, {name: column[start:end] for name, column in self.values.items()}


def read_columns(
    con: duckdb.DuckDBPyConnection,
    table: str,
    features: Sequence[FeatureColumn],
    *,
    most_rows: int,
    with_months: bool = False,
) -> Columns:
    """All rows of some features of REFERENCE or CURRENT, in one pass; ``most_rows``: as many as it has, or more."""
    # batches are copied into arrays of all rows, which can be sorted in place: an Arrow table of all rows, and a sorted
    # copy of each of its columns, took twice the processor time, most of it the system's for new memory
    values = {
        feature.name: np.empty(most_rows, np.float64 if feature.kind == "numeric" else np.uint16)
        for feature in features
    }
    months = np.empty(most_rows, np.int64) if with_months else None
    items = ", ".join([*map(_column, features), *(["month"] if with_months else [])])
    end = 0
    for batch in con.execute(f"select {items} from {table}").to_arrow_reader(_BATCH_ROWS):
        start, end = end, end + batch.num_rows
        for column, read in zip(values.values(), batch.columns, strict=False):
            column[start:end] = read.to_numpy(zero_copy_only=False)  # a missing number becomes NaN
        if months is not None:
            months[start:end] = (
                batch.column("month").to_numpy(zero_copy_only=False).astype("datetime64[M]").astype(np.int64)
            )
    return Columns({name: column[:end] for name, column in values.items()}, None if months is None else months[:end])


def labels_of(feature: FeatureColumn) -> Sequence[str]:
    """The values that a categorical or boolean feature may have by its contract."""
    return feature.values or ("true", "false")


def _column(feature: FeatureColumn) -> str:
    name = identifier(feature.name)
    if feature.kind == "numeric":
        return name
    listed = labels_of(feature)
    codes = " ".join(f"when {literal(value)} then {code}" for code, value in enumerate(listed))
    label = f"case {name}::varchar {codes} else {len(listed)} end"
    return f"(case when {name} is null then {len(listed) + 1} else {label} end)::usmallint as {name}"


def count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    """Number of rows of a table."""
    return int(con.execute(f"select count(*) from {table}").fetchall()[0][0])


def _drawn_by(row_id: str, sample_rows: int | None) -> str:
    """The clause that draws at most this number of rows by the hash of each row's id: always the same ones."""
    return "" if sample_rows is None else f"order by md5({row_id} || '{SAMPLE_SEED:d}') limit {sample_rows:d}"


def present(feature: FeatureColumn, value: str) -> str:
    """A select item: the feature's value typed and under its name, NaN as null."""
    name = identifier(feature.name)
    if feature.kind == "numeric":
        return f"nullif({value}::double, 'nan'::double) as {name}"
    return f"{value}::{_TYPES[feature.kind]} as {name}"
