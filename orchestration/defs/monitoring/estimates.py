"""Performance of champion, challenger and shadow before labels are mature."""

import time
from collections.abc import Sequence

import dagster as dg

from ml.bundle.scorer import Scorer
from ml.estimates.grades import PerformanceEstimate
from ml.estimates.later_truth import add_truth, months_to_grade
from ml.estimates.recording import record_estimates
from ml.judging.metrics import candidate_on_test
from ml.registry.registered_version import load_registered
from orchestration.defs.monitoring.measuring import MonitoredVersion, monitored_versions, replaced_versions
from orchestration.lib import layers, pages
from orchestration.lib.lenders import LENDERS
from warehouse.settings import Settings

_SHOWN = ("auc", "default_rate", "defaults_so_far")


@dg.asset(
    key=layers.PERFORMANCE_ESTIMATES,
    deps=[layers.PREDICTIONS],
    partitions_def=LENDERS,
    group_name="monitoring",
    kinds={"duckdb", "xgboost"},
    pool=layers.LAKE_WRITER,
)
def performance_estimates(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Performance estimated from calibrated probabilities, by month, and graded where labels have matured since.

    Only months with new decisions or labels are estimated. Months of replaced champions are graded too, first: how
    good the estimates were is known only once labels have matured, and by then another version may serve.
    """
    settings, started = Settings.from_environment(), time.monotonic()
    replaced = _grade_replaced(settings, context.partition_key)
    found = [(version, _record(settings, version)) for version in monitored_versions(settings, context.partition_key)]
    rows = [(version, row) for version, each in found for row in each]
    champions = [row for version, row in rows if version.role == "champion"]
    months = sorted({row.month for row in champions})
    return dg.MaterializeResult(
        metadata={
            "summary": _summary(champions),
            "dagster/row_count": len(rows),
            "months": len(months),
            "replaced versions graded": ", ".join(str(version) for version in replaced) or "none had new labels",
            "by month": pages.table(
                [
                    "model",
                    "role",
                    "month",
                    "metric",
                    "method",
                    "estimated",
                    "interval",
                    "limit",
                    "alarm",
                    "true",
                    "trusted",
                ],
                [_line(version, row) for version, row in rows if row.metric in _SHOWN],
            ),
            "seconds": round(time.monotonic() - started, 2),
        }
    )


def _grade_replaced(settings: Settings, source: str) -> list[int]:
    graded = []
    for model in replaced_versions(settings, source):
        if months := months_to_grade(settings, model):
            add_truth(settings, model, Scorer(load_registered(settings, source, model.version)), months)
            graded.append(model.version)
    return graded


def _record(settings: Settings, version: MonitoredVersion) -> tuple[PerformanceEstimate, ...]:
    return record_estimates(
        settings,
        version.model,
        Scorer(version.bundle),
        role=version.role,
        tested_low=candidate_on_test(version.bundle.metrics)["auc_low"],
    )


def _summary(rows: Sequence[PerformanceEstimate]) -> str:
    if not rows:
        return "no month has enough decisions yet"
    newest = max(row.month for row in rows)
    alarms = sorted(f"{row.metric} ({row.method})" for row in rows if row.month == newest and row.is_alarm)
    graded = [row.is_covered for row in rows if row.is_covered is not None and row.method != "exposure"]
    grades = f"; {sum(graded):,} of {len(graded):,} intervals held what was true" if graded else ""
    return f"{newest:%Y-%m}: {', '.join(alarms) or 'no alarm'}{grades}"


def _line(version: MonitoredVersion, row: PerformanceEstimate) -> list[str]:
    return [
        f"{version.model.name} version {version.model.version}",
        row.role,
        f"{row.month:%Y-%m}",
        row.metric,
        row.method,
        pages.figure(row.estimated),
        f"{pages.figure(row.low)} to {pages.figure(row.high)}",
        pages.figure(row.estimated_limit),
        "yes" if row.is_alarm else "no",
        pages.figure(row.true_value),
        "yes" if row.is_trusted else f"no, missed {row.n_missed} of {row.n_graded}",
    ]
