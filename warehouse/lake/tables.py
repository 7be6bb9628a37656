"""Tables that programs write (dbt writes all others): one definition each, created, or given a column
that they lack, when a writer opens the lake.

dbt documents them as sources; ``tests/architecture`` compares the two column by column.
"""

from collections.abc import Collection, Mapping

_DECISION = {
    "decision_id": "varchar",
    "decided_at": "timestamp",
    "source": "varchar",
    "application_id": "varchar",
    "borrower_id": "varchar",
    "inputs": "varchar",
    "features": "varchar",
    "raw_score": "double",
    "probability": "double",
    "band": "varchar",
    "decision": "varchar",
    "reasons": "varchar",
    "model_name": "varchar",
    "model_version": "integer",
    "feature_version": "varchar",
    "route": "varchar",
    "status": "varchar",
    "latency_ms": "double",
    "features_as_of": "timestamp",
    "lake_snapshot": "bigint",
    "role": "varchar",
    "history": "varchar",
    "caller_id": "varchar",
    "caller_name": "varchar",
}
#: schema.table → column → DuckDB type, in table order.
TABLES: dict[str, dict[str, str]] = {
    # One row per landing file that was loaded.
    "raw.files": {
        "source": "varchar",
        "entity": "varchar",
        "file": "varchar",
        "sha256": "varchar",
        "n_bytes": "bigint",
        "n_rows": "bigint",
        "n_quarantined": "bigint",
        "loaded_at": "timestamp",
        "erased_sha256": "varchar",
    },
    # One row per line of a landing file that is not a row of its table (wrong number of fields, broken quoting).
    # dbt's raw.quarantine shows these together with the values that could not be typed.
    "raw.rejected_lines": {
        "source": "varchar",
        "entity": "varchar",
        "file": "varchar",
        "line": "bigint",
        "value": "varchar",
        "reason": "varchar",
        "loaded_at": "timestamp",
    },
    # One row per decision, online or batch.
    "serving.predictions": {**_DECISION, "ingested_at": "timestamp"},
    # One row per application that a challenger in shadow scored beside the decision that was answered.
    "serving.shadow_predictions": {**_DECISION, "answered_decision_id": "varchar", "ingested_at": "timestamp"},
    # One row per application that a version was to answer and could not score.
    "serving.scoring_failures": {
        "failure_id": "varchar",
        "failed_at": "timestamp",
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "feature_version": "varchar",
        "role": "varchar",
        "reason": "varchar",
        "ingested_at": "timestamp",
    },
    # One row per row of a batch: its score, or the problem with it.
    "serving.batch_scores": {
        "batch_id": "varchar",
        "row_number": "bigint",
        "application_id": "varchar",
        "borrower_id": "varchar",
        "probability": "double",
        "raw_score": "double",
        "band": "varchar",
        "decision": "varchar",
        "reasons": "varchar",
        "decision_id": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "feature_version": "varchar",
        "lake_snapshot": "bigint",
        "scored_at": "timestamp",
        "problem": "varchar",
    },
    # One row per change of what is served.
    "serving.deployment_changes": {
        "change": "bigint",
        "action": "varchar",
        "changed_at": "timestamp",
        "changed_by": "varchar",
        "source": "varchar",
        "model_name": "varchar",
        "champion_version": "integer",
        "challenger_version": "integer",
        "mode": "varchar",
        "share": "double",
        "why": "varchar",
        "figures": "varchar",
    },
    # One row per approval of a model version by a person.
    "serving.approvals": {
        "approval": "bigint",
        "approved_at": "timestamp",
        "approved_by": "varchar",
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "overridden": "varchar[]",
        "reason": "varchar",
        "is_to_be_served": "boolean",
    },
    # One row per export or erasure of a person's data, without the person.
    "serving.person_requests": {
        "request_id": "varchar",
        "kind": "varchar",
        "requested_at": "timestamp",
        "requested_by": "varchar",
        "reason": "varchar",
        "counts": "varchar",
        "person": "varchar",
        "treatment": "varchar",
        "models": "varchar",
    },
    # One row per outcome reported over HTTP.
    "serving.reported_outcomes": {
        "outcome_id": "varchar",
        "source": "varchar",
        "application_id": "varchar",
        "is_default": "boolean",
        "outcome_at": "timestamp",
        "known_at": "timestamp",
        "loss_amount": "double",
        "caller_id": "varchar",
        "caller_name": "varchar",
        "ingested_at": "timestamp",
    },
    # One row per model version × feature × month of decisions.
    "monitoring.feature_drift": {
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "month": "date",
        "feature": "varchar",
        "kind": "varchar",
        "n_reference": "bigint",
        "n_current": "bigint",
        "psi": "double",
        "psi_limit": "double",
        "ks": "double",
        "ks_p_value": "double",
        "chi2": "double",
        "chi2_p_value": "double",
        "missing_share_reference": "double",
        "missing_share_current": "double",
        "missing_share_change": "double",
        "missing_share_limit": "double",
        "is_drifted": "boolean",
        "is_severe": "boolean",
        "measured_at": "timestamp",
    },
    # One row per model version × month of decisions.
    "monitoring.score_drift": {
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "month": "date",
        "n_reference": "bigint",
        "n_current": "bigint",
        "psi": "double",
        "psi_limit": "double",
        "ks": "double",
        "ks_p_value": "double",
        "mean_reference": "double",
        "mean_current": "double",
        "is_drifted": "boolean",
        "is_severe": "boolean",
        "measured_at": "timestamp",
    },
    # One row per model version × month of decisions whose labels are mature.
    "monitoring.model_performance": {
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "month": "date",
        "n_decisions": "bigint",
        "n_mature": "bigint",
        "n_defaults": "bigint",
        "default_rate": "double",
        "mean_probability": "double",
        "auc": "double",
        "gini": "double",
        "ks": "double",
        "brier": "double",
        "log_loss": "double",
        "ece": "double",
        "auc_limit": "double",
        "default_rate_limit": "double",
        "is_decayed": "boolean",
        "is_severe": "boolean",
        "measured_at": "timestamp",
    },
    # One row per model version × month of what it scored online × kind × column.
    "monitoring.feature_skew": {
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "month": "date",
        "kind": "varchar",
        "column_name": "varchar",
        "n_decisions": "bigint",
        "n_different": "bigint",
        "different_share": "double",
        "different_share_limit": "double",
        "n_missing_online": "bigint",
        "n_missing_offline": "bigint",
        "mean_absolute_difference": "double",
        "max_absolute_difference": "double",
        "mean_age_days": "double",
        "examples": "varchar",
        "lake_snapshot": "bigint",
        "measured_at": "timestamp",
    },
    # One row per table version × column × rule that rows broke.
    "monitoring.contract_violations": {
        "table_name": "varchar",
        "feature_version": "varchar",
        "lake_snapshot": "bigint",
        "column_name": "varchar",
        "rule": "varchar",
        "n_failed": "bigint",
        "n_rows": "bigint",
        "examples": "varchar",
        "checked_at": "timestamp",
    },
    # One row per candidate model × gate.
    "monitoring.gate_results": {
        "source": "varchar",
        "model_name": "varchar",
        "model_version": "integer",
        "gate": "varchar",
        "passed": "boolean",
        "required": "varchar",
        "found": "varchar",
        "message": "varchar",
        "decided_at": "timestamp",
    },
    # One row per run × source × policy × month walked.
    "monitoring.walk_forward": {
        "run": "varchar",
        "source": "varchar",
        "policy": "varchar",
        "month": "date",
        "champion": "varchar",
        "champion_month": "date",
        "champion_before": "varchar",
        "is_retrained": "boolean",
        "is_promoted": "boolean",
        "why": "varchar",
        "n_decisions": "bigint",
        "n_declined": "bigint",
        "n_mature": "bigint",
        "n_defaults": "bigint",
        "default_rate": "double",
        "mean_probability": "double",
        "auc": "double",
        "brier": "double",
        "ece": "double",
        "score_psi": "double",
        "is_score_drifted": "boolean",
        "worst_feature": "varchar",
        "worst_feature_psi": "double",
        "n_features_drifted": "bigint",
        "n_features": "bigint",
        "feature_version": "varchar",
        "label_window_months": "integer",
        "labels_known_until": "timestamp",
        "lake_snapshot": "bigint",
        "walked_at": "timestamp",
    },
    # One row per run × source × policy × application: what the champion of its month decided.
    "monitoring.walk_forward_decisions": {
        "run": "varchar",
        "source": "varchar",
        "policy": "varchar",
        "month": "date",
        "application_id": "varchar",
        "decided_at": "timestamp",
        "champion": "varchar",
        "raw_score": "double",
        "probability": "double",
        "band": "varchar",
        "decision": "varchar",
        "lake_snapshot": "bigint",
    },
}


#: What rows written before a column was added hold in it; null for columns that are not here.
_BEFORE = {("serving.predictions", "role"): "champion"}


def missing_statements(existing: Mapping[str, Collection[str]]) -> list[str]:
    """What to execute so that a lake with these columns by table has all tables and columns of programs.

    A column that a later version added to a table goes behind the columns it has: insert by name.
    """
    statements = []
    for name, columns in TABLES.items():
        if name not in existing:
            body = ", ".join(f"{column} {data_type}" for column, data_type in columns.items())
            statements.append(f"create table if not exists {name} ({body})")
            continue
        for column, data_type in columns.items():
            if column not in existing[name]:
                before = _BEFORE.get((name, column))
                default = f" default '{before}'" if before else ""
                statements.append(f"alter table {name} add column {column} {data_type}{default}")
    return statements
