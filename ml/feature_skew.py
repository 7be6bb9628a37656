"""Feature skew: what decisions were made with, against what the warehouse says they should have been made with.

Two kinds, both of online decisions:

- ``logged_features``: the features that were logged against those the version's own SQL makes of the logged inputs.
  Any difference means that the request path computes something else than the warehouse; see ``ml.logged_features``.
- ``history_freshness``: the history and cohort inputs that the online store gave against those that were known before
  the decision, by all the lake has learnt since (``monitoring.decision_history``). Differences come from a store that
  was not refreshed, and from rows that reached the lake late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from json import dumps

import duckdb

from ml.bundle import load_bundle
from ml.deployment import bundle_directory
from ml.gates import LoggedEvidence
from ml.logged_features import compare_logged_features, read_json
from ml.monitoring import MonitoredModel, decisions_of, quoted
from ml.monitoring_tables import replace_months
from ml.skew_sql import ANY, FeatureSkew, Pair, columns_that_differ, rows_of, tally
from warehouse.contract import FeatureContract
from warehouse.lake import connect
from warehouse.settings import Settings

TABLE = "monitoring.feature_skew"
HISTORY = "monitoring.decision_history"


@dataclass(frozen=True)
class MeasuredSkew:
    """The rows of every model version that could be measured, and those whose bundle is no longer here."""

    rows: dict[MonitoredModel, tuple[FeatureSkew, ...]]
    without_bundle: tuple[MonitoredModel, ...]


def record_feature_skew(settings: Settings, source: str, *, months: Sequence[date] | None = None) -> MeasuredSkew:
    """Measure every version that decided online, and make ``monitoring.feature_skew`` say so.

    Months whose figures did not change stay as they are, and so do rows of versions whose bundle is gone.
    """
    rows, without_bundle = {}, []
    with connect(settings) as con:
        for model in _deciders(con, source, None):
            contract = _contract_of(settings, model)
            if contract is None:
                without_bundle.append(model)
            else:
                rows[model] = measure_feature_skew(con, contract, model, months=months)
    for model, measured in rows.items():
        replace_months(settings, TABLE, model, measured, months=months)
    return MeasuredSkew(rows, tuple(without_bundle))


def measure_feature_skew(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    model: MonitoredModel,
    *,
    months: Sequence[date] | None = None,
) -> tuple[FeatureSkew, ...]:
    """Both kinds, of one model version's online decisions."""
    logged = rows_of(compare_logged_features(con, contract, model, months=months), "logged_features")
    return (*logged, *measure_history_freshness(con, contract, model, months=months))


def measure_history_freshness(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    model: MonitoredModel,
    *,
    months: Sequence[date] | None = None,
) -> tuple[FeatureSkew, ...]:
    """One row for each month and each history or cohort input that the warehouse still computes."""
    kept = {row[0] for row in con.execute(f"describe {HISTORY}").fetchall()}
    looked_up = [column for column in contract.inputs_of("history", "cohort") if column.name in kept]
    if not looked_up:
        return ()
    types = dumps({column.name: column.data_type.upper() for column in looked_up})
    pairs = [
        Pair(
            column.name,
            column.data_type,
            f"decisions.given.{quoted(column.name)}",
            f"known.{quoted(column.name)}::{column.data_type}",
        )
        for column in looked_up
    ]
    where, parameters = decisions_of(model, months)
    decisions = f"""(
        select decision_id, decided_at, features_as_of, date_trunc('month', decided_at)::date as month,
            {read_json("inputs", types)} as given
        from serving.predictions where {where} and route = 'online'
    ) as decisions join (select decision_id as known_for, * exclude (decision_id, decided_at) from {HISTORY}) as known
        on known.known_for = decisions.decision_id"""
    age = "(epoch(decided_at) - epoch(features_as_of)) / 86400"
    return rows_of(tally(con, decisions, pairs, parameters=parameters, age_days=age), "history_freshness")


def logged_evidence(settings: Settings, source: str, *, since: datetime) -> LoggedEvidence:
    """What the gate ``logged_features_equal_recomputed`` judges: all that came into the lake since a moment."""
    n_decisions = n_different = n_without_bundle = 0
    worst: list[tuple[FeatureSkew, MonitoredModel]] = []
    with connect(settings) as con:
        for model in _deciders(con, source, since):
            contract = _contract_of(settings, model)
            if contract is None:
                n_without_bundle += _count(con, model, since)
                continue
            rows = rows_of(compare_logged_features(con, contract, model, ingested_since=since), "logged_features")
            n_decisions += sum(row.n_decisions for row in rows if row.column_name == ANY)
            n_different += sum(row.n_different for row in rows if row.column_name == ANY)
            worst += [(row, model) for row in columns_that_differ(rows)[:1]]
    first = max(worst, key=lambda found: found[0].n_different, default=None)
    text = None if first is None else _described(*first)
    return LoggedEvidence(n_decisions, n_different, n_without_bundle, text)


def _described(row: FeatureSkew, model: MonitoredModel) -> str:
    return (
        f"{row.column_name} in {row.n_different:,} decisions of {model.name} version {model.version} "
        f"in {row.month:%Y-%m}, such as {', '.join(row.examples.strip('[]').replace(chr(34), '').split(', ')[:1])}"
    )


def _deciders(con: duckdb.DuckDBPyConnection, source: str, since: datetime | None) -> list[MonitoredModel]:
    """The versions that decided online."""
    rows = con.execute(
        "select distinct model_name, model_version from serving.predictions "
        "where source = $1 and route = 'online' and ($2 is null or ingested_at >= $2) order by all",
        [source, since],
    ).fetchall()
    return [MonitoredModel(source, name, version) for name, version in rows]


def _count(con: duckdb.DuckDBPyConnection, model: MonitoredModel, since: datetime) -> int:
    where, parameters = decisions_of(model, None)
    row = con.execute(
        f"select count(*) from serving.predictions where {where} and route = 'online' and ingested_at >= $4",
        [*parameters, since],
    ).fetchone()
    return int(row[0]) if row else 0


def _contract_of(settings: Settings, model: MonitoredModel) -> FeatureContract | None:
    directory = bundle_directory(settings, model.name, model.version)
    return load_bundle(directory).contract if directory.exists() else None
