"""Feature skew: the values that decisions used, against those the warehouse says they should have used.

Two kinds, of all online scores, including those of a challenger in shadow:

- ``logged_features``: the logged features against the version's own SQL on the logged inputs. Any difference is an
  error of the request path; see ``ml.monitoring.logged_features``.
- ``history_freshness``: the online store's history and cohort inputs against those known before the decision, by all
  the lake knows now (``monitoring.decision_history``). Causes: a store that was not refreshed, and late rows.

Only months that may have changed are measured again; see ``ml.monitoring.skew_months``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from json import dumps, loads

import duckdb

from ml.bundle.bundle import load_bundle
from ml.judging.gate import LoggedEvidence
from ml.monitoring.logged_features import compare_logged_features, read_json
from ml.monitoring.samples import SCORED_ONLINE, MonitoredModel, decisions_of
from ml.monitoring.skew_months import HISTORY, months_to_measure, own_history
from ml.monitoring.skew_sql import ANY, FeatureSkew, Pair, Tallies, columns_that_differ, rows_of, tally
from ml.monitoring.tables import replace_months
from ml.registry.deployment import bundle_directory
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, current_snapshot
from warehouse.lake.tables import is_table
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier

TABLE = "monitoring.feature_skew"


@dataclass(frozen=True)
class MeasuredSkew:
    """The content of ``monitoring.feature_skew`` for each version of a source, and what this pass measured.

    ``months``: measured in this pass; a version without an entry had nothing new. ``without_bundle``: versions that
    can't be measured, since their bundle is gone.
    """

    rows: dict[MonitoredModel, tuple[FeatureSkew, ...]]
    months: dict[MonitoredModel, tuple[date, ...]]
    without_bundle: tuple[MonitoredModel, ...]


def record_feature_skew(settings: Settings, source: str) -> MeasuredSkew:
    """Measure versions with new online scores into ``monitoring.feature_skew``; rows without a bundle stay."""
    measured: dict[MonitoredModel, tuple[Sequence[date] | None, tuple[FeatureSkew, ...]]] = {}
    without_bundle = []
    with connect(settings) as con:
        # before reading: later changes are measured next time
        snapshot = current_snapshot(con)
        for model in _scorers(con, source, None):
            contract = _contract_of(settings, model)
            if contract is None:
                without_bundle.append(model)
                continue
            months = months_to_measure(con, model, since=_last_measured(con, model))
            if months is None or months:
                measured[model] = months, measure_feature_skew(con, contract, model, snapshot=snapshot, months=months)
    for model, (months, rows) in measured.items():
        replace_months(settings, TABLE, model, rows, months=months)
    with connect(settings) as con:
        recorded = {model: _recorded(con, model) for model in _scorers(con, source, None)}
    return MeasuredSkew(
        rows={model: rows for model, rows in recorded.items() if rows},
        months={model: tuple(sorted({row.month for row in rows})) for model, (_, rows) in measured.items()},
        without_bundle=tuple(without_bundle),
    )


def measure_feature_skew(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    model: MonitoredModel,
    *,
    snapshot: int,
    months: Sequence[date] | None = None,
) -> tuple[FeatureSkew, ...]:
    """Both kinds, for one version's online scores; valid until ``snapshot``, at or before the data read."""
    logged = compare_logged_features(con, contract, model, months=months)
    freshness = compare_history(con, contract, model, months=months)
    return (
        *rows_of(logged, "logged_features", lake_snapshot=snapshot),
        *rows_of(freshness, "history_freshness", lake_snapshot=snapshot),
    )


def compare_history(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    model: MonitoredModel,
    *,
    months: Sequence[date] | None = None,
) -> Tallies:
    """By month, each history or cohort input that the warehouse still computes: how often the given value differs."""
    history = HISTORY
    if is_table(con, own := own_history(contract.tables.lender)):
        history = f"({HISTORY} left join {own} using (decision_id))"
    kept = {row[0] for row in con.execute(f"describe from {history}").fetchall()}
    looked_up = [column for column in contract.inputs_of("history", "cohort") if column.name in kept]
    if not looked_up:
        return {}
    types = dumps({column.name: column.data_type.upper() for column in looked_up})
    pairs = [
        Pair(
            column.name,
            column.data_type,
            f"decisions.given.{identifier(column.name)}",
            f"known.{identifier(column.name)}::{column.data_type}",
        )
        for column in looked_up
    ]
    where, parameters = decisions_of(model, months)
    decisions = f"""(
        select decision_id, decided_at, features_as_of, date_trunc('month', decided_at)::date as month,
            {read_json("inputs", types)} as given
        from {SCORED_ONLINE} where {where}
    ) as decisions join (
        select decision_id as known_for, * exclude (decision_id, decided_at) from {history}
    ) as known
        on known.known_for = decisions.decision_id"""
    age = "(epoch(decided_at) - epoch(features_as_of)) / 86400"
    # restricts the view of history to these months; null: all
    con.execute("set variable built_months = $1::date[]", [None if months is None else list(months)])
    try:
        return tally(con, decisions, pairs, parameters=parameters, age_days=age)
    finally:
        con.execute("reset variable built_months")


def logged_evidence(settings: Settings, source: str, *, since: datetime) -> LoggedEvidence:
    """The evidence of gate ``logged_features_equal_recomputed``: all that came into the lake since a moment."""
    n_decisions = n_different = n_without_bundle = 0
    worst: tuple[int, str | None] = 0, None
    with connect(settings) as con:
        snapshot = current_snapshot(con)
        for model in _scorers(con, source, since):
            contract = _contract_of(settings, model)
            if contract is None:
                where, parameters = decisions_of(model, None)
                unchecked = f"select count(*) from {SCORED_ONLINE} where {where} and ingested_at >= $4"
                n_without_bundle += con.execute(unchecked, [*parameters, since]).fetchall()[0][0]
                continue
            rows = rows_of(
                compare_logged_features(con, contract, model, ingested_since=since),
                "logged_features",
                lake_snapshot=snapshot,
            )
            n_decisions += sum(row.n_decisions for row in rows if row.column_name == ANY)
            n_different += sum(row.n_different for row in rows if row.column_name == ANY)
            for row in columns_that_differ(rows)[:1]:
                text = (
                    f"{row.column_name} in {row.n_different:,} decisions of {model.name} version {model.version} "
                    f"in {row.month:%Y-%m}, such as {loads(row.examples)[0]}"
                )
                worst = max(worst, (row.n_different, text), key=lambda found: found[0])
    return LoggedEvidence(n_decisions, n_different, n_without_bundle, worst[1])


def _scorers(con: duckdb.DuckDBPyConnection, source: str, since: datetime | None) -> list[MonitoredModel]:
    """The versions that scored online, as champion or as challenger."""
    rows = con.execute(
        f"select distinct model_name, model_version from {SCORED_ONLINE} "
        "where source = $1 and ($2 is null or ingested_at >= $2) order by all",
        [source, since],
    ).fetchall()
    return [MonitoredModel(source, name, version) for name, version in rows]


def _contract_of(settings: Settings, model: MonitoredModel) -> FeatureContract | None:
    directory = bundle_directory(settings, model.name, model.version)
    return load_bundle(directory).contract if directory.exists() else None


def _last_measured(con: duckdb.DuckDBPyConnection, model: MonitoredModel) -> int | None:
    """The snapshot until which all months of the version are measured, or None."""
    where, parameters = decisions_of(model, None)
    row = con.execute(f"select max(lake_snapshot) from {TABLE} where {where}", parameters).fetchone()
    return row[0] if row else None


def _recorded(con: duckdb.DuckDBPyConnection, model: MonitoredModel) -> tuple[FeatureSkew, ...]:
    names = ", ".join(field.name for field in fields(FeatureSkew))
    where, parameters = decisions_of(model, None)
    rows = con.execute(
        f"select {names} from {TABLE} where {where} order by month, kind desc, column_name", parameters
    ).fetchall()
    return tuple(FeatureSkew(*row) for row in rows)
