"""A month's decisions, their drift from the champion's training rows, and their outcomes."""

from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from ml.bundle.feature_rows import offline_frame
from ml.monitoring.drift import compare_features, compare_scores
from ml.monitoring.samples import CURRENT, REFERENCE, present
from ml.walk_forward.candidates import Champion
from ml.walk_forward.rows import KnownRows
from warehouse.files.patterns import parquet
from warehouse.sql.quoting import identifier

if TYPE_CHECKING:
    import pyarrow as pa


def decide_month(rows: KnownRows, month: date, champion: Champion) -> "pa.Table":
    """Score a month's applications in batches, as the API does.

    Columns: application_id, decided_at, raw_score, probability, band, decision. Without reasons, which change no figure
    and take 3 ms a row.
    """
    import pyarrow as pa

    scorer, decided = champion.scorer, []
    for batch in rows.applications(month):
        matrix = scorer.bundle.design_matrix.encode(offline_frame(batch, scorer.contract))
        scores = scorer.score_matrix(matrix)
        columns = {
            "application_id": batch.column("application_id"),
            "decided_at": batch.column("decided_at"),
            "raw_score": scores.raw.astype(np.float64),
            "probability": scores.probability,
            "band": scores.bands,
            "decision": scores.decisions,
        }
        decided.append(pa.table(columns, schema=_schema()))
    return pa.concat_tables(decided) if decided else no_decisions()


def no_decisions() -> "pa.Table":
    """The decisions of a month without a champion or without applications."""
    return _schema().empty_table()


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("application_id", pa.string()),
            ("decided_at", pa.timestamp("us")),
            ("raw_score", pa.float64()),
            ("probability", pa.float64()),
            ("band", pa.string()),
            ("decision", pa.string()),
        ]
    )


def measure_drift(
    con: duckdb.DuckDBPyConnection, rows: KnownRows, month: date, champion: Champion, decisions: "pa.Table"
) -> dict[str, Any]:
    """Compare a month's decisions with the rows the champion was fitted on; empty if the month has none.

    The figures are columns of :class:`ml.walk_forward.results.WalkedMonth`; the worst feature has the highest PSI for
    its limit.
    """
    if decisions.num_rows == 0:
        return {}
    contract = rows.contract
    columns = ", ".join(present(feature, f"features.{identifier(feature.name)}") for feature in contract.features)
    # the bundle has the ids of its training rows, whose snapshot may have expired
    con.execute(
        f"create or replace temp table {REFERENCE} as "
        f"select date_trunc('month', features.decided_at)::date as month, {columns}, scores.probability "
        f"from {parquet(champion.bundle.reference_scores)} as scores join {rows.features_as('features')} "
        "on features.application_id = scores.application_id",
    )
    con.register("walk_decided", decisions)
    con.execute(
        f"create or replace temp table {CURRENT} as select $1::date as month, {columns}, decided.probability "
        f"from walk_decided as decided join {rows.features_as('features')} "
        "on features.application_id = decided.application_id",
        [month],
    )
    con.unregister("walk_decided")
    features = compare_features(con, contract)
    (score,) = compare_scores(con)
    worst = max(features, key=lambda row: row.psi_of_limit)
    return {
        "score_psi": score.psi,
        "is_score_drifted": score.is_drifted,
        "worst_feature": worst.feature,
        "worst_feature_psi": worst.psi,
        "n_features_drifted": sum(row.is_drifted for row in features),
        "n_features": len(features),
    }
