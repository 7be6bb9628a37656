"""Drift and performance of champion and challenger, skew of every version that decided online, reports."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from ml.judging.metrics import candidate_on_test
from ml.monitoring.drift import (
    FEATURE_TABLE,
    SCORE_TABLE,
    FeatureDrift,
    ScoreDrift,
    record_feature_drift,
    record_score_drift,
)
from ml.monitoring.drift_figures import newest_month as newest_figures
from ml.monitoring.drift_figures import publish_drift
from ml.monitoring.drift_report import write_drift_report
from ml.monitoring.feature_skew import record_feature_skew
from ml.monitoring.limits import DriftRule, PerformanceRule
from ml.monitoring.performance import TABLE as PERFORMANCE_TABLE
from ml.monitoring.performance import Performance, record_performance
from ml.monitoring.samples import MonitoredModel
from ml.monitoring.skew_sql import ANY, FeatureSkew, columns_that_differ
from ml.monitoring.tables import months_measured_since
from orchestration.dbt_process import have_dbt_ready
from orchestration.defs.monitoring.measuring import (
    MonitoredVersion,
    monitored_champion,
    monitored_versions,
    newest_month,
)
from orchestration.lib import layers, links, pages
from orchestration.lib.lenders import LENDERS
from orchestration.lib.run_settings import RunSettings
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


@dg.multi_asset(
    name="drift",
    specs=[
        dg.AssetSpec(
            layers.FEATURE_DRIFT,
            deps=[layers.PREDICTIONS],
            kinds={"duckdb"},
            description="One row per model version × feature × month of decisions: drift from the training rows.",
        ),
        dg.AssetSpec(
            layers.SCORE_DRIFT,
            deps=[layers.PREDICTIONS],
            kinds={"duckdb"},
            description="One row per model version × month of decisions: drift of the probabilities.",
        ),
    ],
    partitions_def=LENDERS,
    group_name="monitoring",
    pool=layers.LAKE_WRITER,
)
def drift(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Measured over every decision of the lender; only months with something new are measured."""
    settings, started, source = Settings.from_environment(), time.monotonic(), context.partition_key
    moment = datetime.now(UTC).replace(tzinfo=None)
    versions, rules = monitored_versions(settings, source), read_lender(source).retrain
    of_features = [
        record_feature_drift(
            settings,
            version.model,
            version.bundle.contract,
            reference_snapshot=version.snapshot,
            rule=DriftRule(ks=rules.feature_ks_above),
        )
        for version in versions
    ]
    if _n_months_measured(settings, FEATURE_TABLE, versions, moment):
        have_dbt_ready()  # the tables that are built from these figures come later in the run
    n_features, features = len(versions[0].bundle.contract.features), of_features[0]
    latest = max((row.month for row in features if row.is_judged), default=None)
    drifted = sorted(row.feature for row in features if row.is_drifted and row.month == latest)
    yield dg.MaterializeResult(
        asset_key=layers.FEATURE_DRIFT,
        metadata={
            "summary": f"{latest:%Y-%m}: {len(drifted)} of {n_features} features have drifted"
            if latest
            else "no month has enough decisions to be judged yet",
            "dagster/row_count": len(features),
            "measured in this run": _measured_in_this_run(settings, FEATURE_TABLE, versions, moment),
            "features_drifted": drifted,
            "greatest PSI for its limit by month": _worst_by_month(features),
            "latest_month": f"{latest:%Y-%m}" if latest else "none",
            "seconds": round(time.monotonic() - started, 2),
        },
    )
    started = time.monotonic()
    of_scores = [
        record_score_drift(
            settings,
            version.model,
            reference_scores=version.bundle.reference_scores,
            rule=DriftRule(ks=rules.score_ks_above),
        )
        for version in versions
    ]
    scores = of_scores[0]
    newest = [
        newest_figures(version.model, features_of, scores_of)
        for version, features_of, scores_of in zip(versions, of_features, of_scores, strict=True)
    ]
    # the API shows it at /metrics without opening the lake
    publish_drift(settings, source, [drift for drift in newest if drift is not None])
    yield dg.MaterializeResult(
        asset_key=layers.SCORE_DRIFT,
        metadata={
            "summary": f"scores drifted in {sum(row.is_drifted for row in scores)} of "
            f"{sum(row.is_judged for row in scores)} months with enough decisions to be judged",
            "dagster/row_count": len(scores),
            "measured in this run": _measured_in_this_run(settings, SCORE_TABLE, versions, moment),
            "by month": _scores_by_month(scores),
            "seconds": round(time.monotonic() - started, 2),
        },
    )


@dg.asset(
    key=layers.FEATURE_SKEW,
    deps=[layers.PREDICTIONS, layers.DECISION_HISTORY],
    partitions_def=LENDERS,
    group_name="monitoring",
    kinds={"duckdb"},
    pool=layers.LAKE_WRITER,
)
def feature_skew(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Online scores (also in shadow) compared with the warehouse: logged features and history inputs.

    Only months with new data are measured.
    """
    settings, started = Settings.from_environment(), time.monotonic()
    measured = record_feature_skew(settings, context.partition_key)
    rows = [(model, row) for model, found in measured.rows.items() for row in found]
    totals = {
        kind: [row for _, row in rows if (row.kind, row.column_name) == (kind, ANY)]
        for kind in ("logged_features", "history_freshness")
    }
    n_decisions, n_wrong = (
        sum(getattr(row, name) for row in totals["logged_features"]) for name in ("n_decisions", "n_different")
    )
    n_stale = sum(row.n_different for row in totals["history_freshness"])
    n_months = sum(len(months) for months in measured.months.values())
    return dg.MaterializeResult(
        metadata={
            "summary": f"{n_decisions:,} scored online: {n_wrong:,} wrong, {n_stale:,} with stale history",
            "measured in this run": f"{n_months} months, of {len(measured.months)} versions"
            if n_months
            else "nothing: no month has anything new",
            "wrong": "made with a feature that is not what its version's SQL makes of the logged inputs",
            "stale history": "made with other history or cohort inputs than were known before the decision",
            "dagster/row_count": len(rows),
            "by month": _skew_by_month([(model, row) for model, row in rows if row.column_name == ANY]),
            "columns that differ most": _skew_by_column(columns_that_differ(row for _, row in rows)[:20]),
            "versions without their bundle": [
                f"{model.name} version {model.version}" for model in measured.without_bundle
            ],
            "seconds": round(time.monotonic() - started, 2),
        }
    )


@dg.asset(
    key=layers.PERFORMANCE,
    deps=[layers.PREDICTIONS],
    partitions_def=LENDERS,
    group_name="monitoring",
    kinds={"duckdb"},
    pool=layers.LAKE_WRITER,
)
def performance(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Performance of decisions by month, where their labels are mature; only months with something new are measured."""
    settings, started = Settings.from_environment(), time.monotonic()
    moment, versions = datetime.now(UTC).replace(tzinfo=None), monitored_versions(settings, context.partition_key)
    rule = PerformanceRule(auc_drop=read_lender(context.partition_key).retrain.auc_drop_above)
    # the champion's first
    months, *_ = [
        record_performance(settings, version.model, tested_low=tested["auc_low"], tested_auc=tested["auc"], rule=rule)
        for version in versions
        for tested in [candidate_on_test(version.bundle.metrics)]
    ]
    n_mature = sum(row.n_mature for row in months)
    return dg.MaterializeResult(
        metadata={
            "summary": f"{n_mature:,} mature decisions in {len(months)} months",
            "measured in this run": _measured_in_this_run(settings, PERFORMANCE_TABLE, versions, moment),
            "dagster/row_count": len(months),
            "by month": pages.records(
                months,
                {
                    "month": _month,
                    "mature": lambda row: f"{row.n_mature:,}",
                    "defaults": lambda row: f"{row.n_defaults:,}",
                    "default rate": lambda row: f"{row.default_rate:.4f}",
                    "mean probability": lambda row: f"{row.mean_probability:.4f}",
                    "AUC": lambda row: pages.figure(row.auc),
                    "Brier": lambda row: f"{row.brier:.4f}",
                    "decayed": lambda row: ("yes" if row.is_decayed else "no") if row.is_judged else "too few outcomes",
                },
            ),
            "seconds": round(time.monotonic() - started, 2),
        }
    )


@dg.asset(
    key=layers.DRIFT_REPORT,
    deps=[layers.PREDICTIONS],
    partitions_def=LENDERS,
    group_name="monitoring",
    kinds={"evidently", "html"},
)
def drift_report(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult[None]:
    """Evidently's drift report, HTML and JSON, for the requested months, or for the newest scored month."""
    settings, started = Settings.from_environment(), time.monotonic()
    champion = monitored_champion(settings, context.partition_key)
    months = [date.fromisoformat(f"{month}-01") for month in run_settings.report_months]
    reports = {
        month: write_drift_report(
            settings, champion.model, champion.bundle.contract, month, reference_snapshot=champion.snapshot
        )
        for month in months or newest_month(settings, champion.model)
    }
    addresses = {month: links.report(report.html, settings) for month, report in reports.items()}
    rows = [
        [f"[{month:%Y-%m}]({addresses[month]})", f"{report.n_decisions:,}", f"{report.n_sample_decisions:,}"]
        for month, report in reports.items()
    ]
    return dg.MaterializeResult(
        metadata={
            "summary": ", ".join(f"page of {month:%Y-%m}" for month in reports) or "no decisions yet",
            **{f"report {month:%Y-%m}": dg.MetadataValue.url(address) for month, address in addresses.items()},
            "reports": pages.table(["month", "decisions", "sampled"], rows),
            **{f"HTML {month:%Y-%m}": dg.MetadataValue.path(report.html) for month, report in reports.items()},
            **{f"JSON {month:%Y-%m}": dg.MetadataValue.path(report.json) for month, report in reports.items()},
            "seconds": round(time.monotonic() - started, 2),
        }
    )


def _n_months_measured(settings: Settings, table: str, versions: Sequence[MonitoredVersion], moment: datetime) -> int:
    return sum(len(months_measured_since(settings, table, version.model, moment)) for version in versions)


def _measured_in_this_run(
    settings: Settings, table: str, versions: Sequence[MonitoredVersion], moment: datetime
) -> str:
    """How many months of all versions were measured since a moment, in words."""
    n_months = _n_months_measured(settings, table, versions, moment)
    return f"{n_months} months, of {len(versions)} versions" if n_months else "nothing: no month has anything new"


def _worst_by_month(features: Sequence[FeatureDrift]) -> dg.MarkdownMetadataValue:
    """For each month, the feature with the highest PSI relative to its limit."""
    rows = []
    for month in sorted({row.month for row in features}):
        worst = max((row for row in features if row.month == month), key=lambda row: row.psi_of_limit)
        limit = pages.figure(worst.psi_limit, ".3f")
        rows.append([f"{month:%Y-%m}", worst.feature, f"{worst.psi:.3f}", limit, _verdict(worst)])
    return pages.table(["month", "feature", "PSI", "limit", "drifted"], rows)


def _scores_by_month(scores: Sequence[ScoreDrift]) -> dg.MarkdownMetadataValue:
    return pages.records(
        scores,
        {
            "month": _month,
            "decisions": lambda row: f"{row.n_current:,}",
            "PSI": lambda row: f"{row.psi:.3f}",
            "mean probability": lambda row: f"{row.mean_current:.4f}",
            "drifted": _verdict,
        },
    )


def _month(row: FeatureSkew | Performance | ScoreDrift) -> str:
    return f"{row.month:%Y-%m}"


def _verdict(row: FeatureDrift | ScoreDrift) -> str:
    return ("yes" if row.is_drifted else "no") if row.is_judged else "too few decisions"


def _skew_by_month(rows: Sequence[tuple[MonitoredModel, FeatureSkew]]) -> dg.MarkdownMetadataValue:
    return pages.table(
        ["model", "month", "kind", "decisions", "differ", "history age"],
        [
            [
                f"{model.name} version {model.version}",
                f"{row.month:%Y-%m}",
                row.kind.replace("_", " "),
                f"{row.n_decisions:,}",
                f"{row.n_different:,}",
                "–" if row.mean_age_days is None else f"{row.mean_age_days:.1f} days",
            ]
            for model, row in rows
        ],
    )


def _skew_by_column(rows: Sequence[FeatureSkew]) -> dg.MarkdownMetadataValue:
    return pages.records(
        rows,
        {
            "column": lambda row: row.column_name,
            "month": _month,
            "kind": lambda row: row.kind.replace("_", " "),
            "decisions": lambda row: f"{row.n_different:,}",
            "share": lambda row: f"{row.different_share:.1%}",
            "mean distance": lambda row: pages.figure(row.mean_absolute_difference, ".6g"),
            "greatest": lambda row: pages.figure(row.max_absolute_difference, ".6g"),
        },
    )
