"""A decision's origin: from its score through features, inputs and core rows to lines of files, with their SQL.

The log is the truth of features and inputs. Rows below them are read from the decision's snapshot or, once that has
expired, from the current tables, and the result says which. Only rows known before the moment of its history count.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb

from ml.bundle.bundle import load_bundle
from ml.decisions.history_rows import HistoryRows, history_rows
from ml.registry.deployment import bundle_directory
from warehouse.decision_log import Decision, find_decision
from warehouse.decision_log.json_text import plain
from warehouse.errors import ContractError, NotFoundError
from warehouse.features.columns import InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.features.expressions.select_text import inputs_of_columns, read_select
from warehouse.lake.connection import CATALOG, connect
from warehouse.lake.feature_tables import HISTORY_MODEL
from warehouse.raw.keys import RawTable, raw_tables, read_manifest
from warehouse.settings import Settings
from warehouse.sql.quoting import literal

_ORIGINS = {
    "key": "names the row",
    "context": "set by the platform",
    "history": "rows of the borrower known before the decision",
    "cohort": "outcomes of its cohort known before the decision",
}
REPORTS = "serving.reported_outcomes"  # over HTTP
#: What identifies a row of an entity, of which core keeps versions.
_KEYS = {
    "applications": ("application_id",),
    "statements": ("borrower_id", "statement_on"),
    "outcomes": ("application_id",),
}


@dataclass(frozen=True)
class Feature:
    """A feature as logged, its scalar SQL, and the inputs it uses, directly or through other features."""

    name: str
    value: object
    sql: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Input:
    """An input as logged, and its origin."""

    name: str
    value: object
    origin: str
    came_from: str


@dataclass(frozen=True)
class Rows:
    """Rows of a table behind the decision, the SQL that reads them, and their role."""

    table: str
    role: str
    sql: str
    rows: tuple[dict[str, object], ...]


@dataclass(frozen=True)
class HistoryCheck:
    """Compares the number of rows found with the logged count."""

    name: str
    logged: object
    found: int

    @property
    def agrees(self) -> bool:
        """A null input, as of a borrower without history, counts nothing."""
        return (self.logged or 0) == self.found


@dataclass(frozen=True)
class DecisionLineage:
    """All steps, last to first. ``snapshot``: where rows were read; None for the current tables."""

    decision: dict[str, object]
    model: dict[str, object]
    snapshot: int | None
    notes: tuple[str, ...]
    features: tuple[Feature, ...]
    inputs: tuple[Input, ...]
    core: tuple[Rows, ...]
    staging: tuple[Rows, ...]
    raw: tuple[Rows, ...]
    checks: tuple[HistoryCheck, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        data = asdict(self)
        for check, found in zip(data["checks"], self.checks, strict=True):
            check["agrees"] = found.agrees
        plain_data: dict[str, Any] = json.loads(json.dumps(data, default=_json_value))
        return plain_data


def trace_decision(settings: Settings, decision_id: str) -> DecisionLineage:
    """The lineage of a decision, online or batch, from the outbox or the lake.

    Raises NotFoundError if the decision was not logged, or its bundle or dbt's manifest is gone.
    """
    decision = find_decision(settings, decision_id)
    directory = bundle_directory(settings, decision.model_name, decision.model_version)
    if not directory.exists():
        raise NotFoundError(f"the lineage of {decision_id} needs the bundle at {directory}: restore it from a backup")
    bundle = load_bundle(directory)
    manifest = read_manifest(settings, compiled=HISTORY_MODEL)
    tables, own = raw_tables(manifest, decision.source), _own_columns(manifest, decision.source)
    history = (*history_rows(manifest), *own.history)
    with connect(settings) as con:
        reader = _Reader(con, decision, history, own)
        core = reader.core() + reader.cohorts(bundle.contract.inputs_of("cohort"))
        staging, raw = reader.staging(tables), reader.raw(tables)
    inputs = json.loads(decision.inputs)
    found = {rows.table: len(rows.rows) for rows in core if rows.role == "history"}
    return DecisionLineage(
        decision={
            name: plain(getattr(decision, name))
            for name in (
                "decision_id", "decided_at", "source", "application_id", "borrower_id", "route", "caller_name",
                "status", "raw_score", "points", "probability", "probability_low", "probability_high", "band",
                "decision", "features_as_of", "lake_snapshot",
            )
        }
        | {"reasons": json.loads(decision.reasons or "[]")},
        model={
            "model_name": decision.model_name,
            "model_version": decision.model_version,
            "feature_version": decision.feature_version,
            "training_snapshot": bundle.lineage.lake_snapshot,
            "training_set_sha256": bundle.lineage.training_set_sha256,
            "git_commit": bundle.lineage.git_commit,
        },
        snapshot=reader.snapshot,
        notes=tuple(reader.notes),
        features=features_of(bundle.contract, json.loads(decision.features)),
        inputs=tuple(_input(column, inputs.get(column.name), decision, own) for column in bundle.contract.inputs),
        core=core,
        staging=staging,
        raw=raw,
        checks=tuple(
            HistoryCheck(name, inputs[name], found[rows.table])
            for rows in history
            for name in rows.counted_by
            if name in inputs and rows.table in found
        ),
    )  # fmt: skip


def features_of(contract: FeatureContract, logged: Mapping[str, object]) -> tuple[Feature, ...]:
    """The contract's features with their ``logged`` values, by name."""
    columns = {column.name: column.expression for column in read_select(contract.sql).columns}
    inputs = inputs_of_columns(contract.sql, [column.name for column in contract.inputs])
    return tuple(
        Feature(
            name,
            logged[name],
            columns[name].sql(dialect="duckdb", comments=False),
            tuple(sorted(inputs[name])),
        )
        for name in contract.feature_names
    )


def staging_lines(lender: str, entity: str, versions: Sequence[Mapping[str, object]]) -> str:
    """SQL for the lines of a lender's staging model that these versions of core rows come from."""
    names = ", ".join(f"cast({name} as varchar)" for name in _KEYS[entity])
    return f"from staging.stg_{lender}__{entity} where ({names}, _loaded_at) in ({_lines(_KEYS[entity], versions)})"


def _lines(key: Sequence[str], versions: Sequence[Mapping[str, object]]) -> str:
    # a time as a time: DuckDB's text of it ends with the last digit that is not zero
    return ", ".join(
        f"({', '.join(literal(str(row[name])) for name in key)}, timestamp {literal(str(row['loaded_at']))})"
        for row in versions
    )


@dataclass(frozen=True)
class _OwnColumns:
    """What a lender has beside the shared tables; ``applications``: its table of own request columns, or empty."""

    applications: str = ""
    columns: frozenset[str] = frozenset()
    history: tuple[HistoryRows, ...] = ()
    notes: tuple[str, ...] = ()


def _own_columns(manifest: Mapping[str, Any], lender: str) -> _OwnColumns:
    models = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    table, history, notes = f"int_applications_{lender}", tuple[HistoryRows, ...](), tuple[str, ...]()
    if (model := f"{HISTORY_MODEL}_{lender}") in models:
        try:
            history = history_rows(manifest, model=model)
        except ContractError as error:
            notes = (f"the rows behind {model} are not shown: {error}",)
    if table not in models:
        return _OwnColumns(history=history, notes=notes)
    return _OwnColumns(f"core.{table}", frozenset(models[table]["columns"]), history, notes)


def _input(column: InputColumn, value: object, decision: Decision, own: _OwnColumns) -> Input:
    if column.origin == "request":
        stored = own.applications if column.name in own.columns else "core.int_applications"
        came_from = stored if decision.route == "backfill" else "given by the caller"
    elif column.origin in {"history", "cohort"} and decision.route != "backfill":
        came_from = f"the online store, {_ORIGINS[column.origin]}"
    else:
        came_from = _ORIGINS[column.origin]
    return Input(column.name, value, column.origin, came_from)


class _Reader:
    """Reads what lies below the inputs, at the decision's snapshot if it still exists."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, decision: Decision, history: Sequence[HistoryRows], own: _OwnColumns
    ) -> None:
        self._con, self._decision, self._history, self._own = con, decision, history, own
        self.notes: list[str] = list(own.notes)
        self.snapshot = self._kept_snapshot()
        self._known: dict[str, tuple[dict[str, object], ...]] = {}
        self._as_of = decision.features_as_of or decision.decided_at
        self._known_until = self._as_of if decision.route == "backfill" else self._loaded_until()
        self._ids: dict[Any, set[str]] = {
            "application": {decision.application_id},
            "borrower": {decision.borrower_id} if decision.borrower_id else set(),
        }

    def core(self) -> tuple[Rows, ...]:
        """The application, if the lake has it, and the borrower's rows known before."""
        where = f"application_id = {literal(self._decision.application_id)}"
        found = [self._rows("core.int_applications", "the application", where)]
        self._known["applications"] = found[0].rows
        if not found[0].rows:
            self.notes.append("the application itself is not in the lake: its inputs are the caller's")
        if self._own.applications:
            found.append(self._rows(self._own.applications, "the application", where))
        if self._decision.borrower_id is None:
            self.notes.append("the request named no borrower, so no history was used")
            return tuple(found)
        for history in self._history:
            sql = history.sql(self._decision.borrower_id, self._as_of, known_until=self._known_until, at=self._at())
            rows = Rows(history.table, "history", sql, self._fetch(sql))
            self._known[history.entity] = self._known.get(history.entity, ()) + rows.rows
            found.append(rows)
        self._ids["application"] |= {str(row["application_id"]) for row in self._known.get("applications", ())}
        return tuple(found)

    def cohorts(self, columns: Sequence[InputColumn]) -> tuple[Rows, ...]:
        """The row of each cohort behind an input: numbers of known outcomes and of defaults."""
        inputs = json.loads(self._decision.inputs)
        found = []
        for column in columns:
            value = "all" if column.segment == "all" else inputs.get(str(column.segment))
            if value is None:
                continue  # an application without a cohort has no rate of it
            condition = (
                f"source = {literal(self._decision.source)} and segment = {literal(str(column.segment))} "
                f"and segment_value = {literal(str(value))}"
            )
            if self._decision.route != "backfill":
                found.append(self._rows("features.ftr_online_cohorts", f"cohort, {column.name}", condition))
            else:
                condition += f" and as_of = date_trunc('day', timestamp '{self._as_of.isoformat(sep=' ')}')"
                found.append(self._rows("features.ftr_cohort_rates", f"cohort, {column.name}", condition))
        return tuple(found)

    def staging(self, tables: Sequence[RawTable]) -> tuple[Rows, ...]:
        """The lines behind the same versions in the lender's current staging models."""
        lender, feeds = self._decision.source, {entity for table in tables for entity in table.feeds}
        found = []
        for entity in _KEYS:
            if entity in feeds and (rows := self._known.get(entity)):
                sql = staging_lines(lender, entity, rows)
                found.append(Rows(f"staging.stg_{lender}__{entity}", "typed by dbt", sql, self._fetch(sql)))
        return tuple(found)

    def raw(self, tables: Sequence[RawTable]) -> tuple[Rows, ...]:
        """Lines of files with the file's checksum, or pulled rows with their source: of the version that counted."""
        found = []
        for table in tables:
            condition = self._raw_condition(table)
            if condition is None:
                continue
            lender, entity = table.lender, table.name.removeprefix(f"raw.{table.lender}_")
            sql = (
                f"select _file as file, _line as line, files.sha256, _loaded_at as loaded_at, "
                f"files.pulled_from, files.pulled_at, files.row_key, messages.topic_partition, messages.topic_offset, "
                f"raw_rows.* exclude (_file, _line, _loaded_at) "
                f"from (from {table.name}{self._at()} where {condition}) as raw_rows "
                f"left join (from raw.files{self._at()}) as files "
                f"on files.file = _file and files.source = {literal(lender)} and files.entity = {literal(entity)} "
                # only added to: as it stands is as it stood
                f"left join raw.messages on messages.file = _file and messages.line = _line "
                f"and messages.source = {literal(lender)} and messages.entity = {literal(entity)} "
                "order by _loaded_at desc, _file, _line"
            )
            found.append(Rows(table.name, "as received", sql, self._fetch(sql)))
        return (*found, *self._reports())

    def _reports(self) -> tuple[Rows, ...]:
        """Outcomes that counted as they were reported over HTTP: such a version is of when its report was received."""
        known = self._known.get("outcomes", ())
        sql = (
            f"select * from {REPORTS}{self._at()} where source = {literal(self._decision.source)} "
            f"and (application_id, known_at) in ({_lines(['application_id'], known)}) order by known_at desc"
        )
        rows = self._fetch(sql) if known else ()
        return (Rows(REPORTS, "reported over HTTP", sql, rows),) if rows else ()

    def _raw_condition(self, table: RawTable) -> str | None:
        """For an application table: the application and earlier ones; for others: the rows that counted."""
        ids: dict[Any, set[str]] = {"application": set(), "borrower": set()}
        if "applications" in table.feeds:
            ids["application"] = self._ids["application"]
        elif "outcomes" in table.feeds:
            ids["application"] = {str(row["application_id"]) for row in self._known.get("outcomes", ())}
        elif any(self._known.get(entity) for entity in table.feeds):
            ids["borrower"] = self._ids["borrower"]
        condition = table.rows_of(ids)
        if condition is None:
            return None
        used = [row for entity in table.feeds for row in self._known.get(entity, ())]
        if used:
            loads = ", ".join(f"timestamp {literal(each)}" for each in sorted({str(row["loaded_at"]) for row in used}))
            condition = f"({condition}) and _loaded_at in ({loads})"
        if "applications" in table.feeds or "statements" not in table.feeds:
            return condition
        columns = {row[0] for row in self._con.execute(f"describe {table.name}").fetchall()}
        if "statement_on" not in columns:
            return condition  # a row of several statements, or one with another date column
        lines = ", ".join(
            f"(date {literal(str(row['statement_on']))}, timestamp {literal(str(row['loaded_at']))})"
            for row in self._known.get("statements", ())
        )
        return f"{condition} and (try_cast(statement_on as date), _loaded_at) in ({lines})"

    def _loaded_until(self) -> datetime:
        """The moment before which the online store knew every version: what the decision's snapshot says of it."""
        if self.snapshot is None:
            return self._as_of
        sql = f"select known_until from core.int_clocks{self._at()} where source = {literal(self._decision.source)}"
        rows = self._fetch(sql)
        until = rows[0]["known_until"] if rows else self._as_of
        return until if isinstance(until, datetime) else self._as_of

    def _rows(self, table: str, role: str, condition: str) -> Rows:
        sql = f"select * from {table}{self._at()} where {condition}"
        return Rows(table, role, sql, self._fetch(sql))

    def _fetch(self, sql: str) -> tuple[dict[str, object], ...]:
        try:
            result = self._con.execute(sql)
        except duckdb.CatalogException as error:
            self.notes.append(f"a table is missing: {str(error).splitlines()[0]}")
            return ()
        names = [column[0] for column in result.description or []]
        # a raw row may have 150 empty columns
        return tuple(
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in result.fetchall()
        )

    def _at(self) -> str:
        return "" if self.snapshot is None else f" at (version => {self.snapshot})"

    def _kept_snapshot(self) -> int | None:
        named = self._decision.lake_snapshot
        if named is None:
            self.notes.append("the decision names no lake snapshot: rows are shown as they stand")
            return None
        kept = self._con.execute(
            f"select count(*) from ducklake_snapshots('{CATALOG}') where snapshot_id = $1", [named]
        ).fetchone()
        if kept and kept[0]:
            return named
        self.notes.append(f"lake snapshot {named} has expired: rows are shown as they stand")
        return None


def _json_value(value: object) -> object:
    found = plain(value)
    return found if found is not value else str(value)
