"""What became true of the months that a version decided before another took its place."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from ml.bundle.scorer import Scorer
from ml.estimates.estimate import Estimator
from ml.estimates.grades import DEFAULTS_SO_FAR, POOLED_DEFAULT_RATE, PerformanceEstimate, grade
from ml.estimates.labelled_reference import compared_features, decided_months, read_month, read_reference
from ml.estimates.recording import METHODS, estimate_month
from ml.estimates.stored import TABLE, earlier_grades, stored_estimates
from ml.monitoring.limits import EstimateRule
from ml.monitoring.samples import MonitoredModel
from ml.monitoring.tables import replace_months
from warehouse.lake.connection import connect
from warehouse.settings import Settings

_RULE = EstimateRule()
#: A month is graded again once it has this many times the labels of its last grade: labels mature every day.
_MORE_LABELS = 1.25


def months_to_grade(settings: Settings, model: MonitoredModel) -> tuple[date, ...]:
    """Months of a replaced version, after its reference loans, that have enough labels more than when last graded."""
    with connect(settings) as con:
        n_graded: dict[date, int] = {}
        for month, rows in stored_estimates(con, model).items():
            of_month = [row for row in rows if _is_graded(row) and row.horizon_months > 0]
            if of_month:
                n_graded[month] = max(row.n_mature if row.true_value is not None else 0 for row in of_month)
        return tuple(
            month
            for month, _, n_mature in decided_months(con, model)
            if month in n_graded and n_mature >= max(_RULE.min_decisions, _MORE_LABELS * n_graded[month])
        )


def add_truth(
    settings: Settings, model: MonitoredModel, scorer: Scorer, months: Sequence[date]
) -> tuple[PerformanceEstimate, ...]:
    """Grade ``months`` of a replaced version, as :func:`months_to_grade` found them; returns all its rows.

    What was estimated, and whether that was an alarm, stays as it was: only what became true is added, with the
    estimate of the same decisions. Defaults so far and months judged together are not graded.
    """
    with connect(settings) as con:
        stored, earlier = stored_estimates(con, model), earlier_grades(con, model)
        reference, newest = read_reference(con, scorer, model, snapshot=scorer.bundle.lineage.lake_snapshot)
        estimator = Estimator(reference, cut_off=scorer.bundle.policy.cut_off)
        of_reference = estimator.truth(reference.probability, reference.defaulted)
        decided_months(con, model)  # which keeps the decisions for what reads a month
        for month in months:
            decided, features = read_month(con, month), compared_features(con, scorer, model, month)
            found = {
                (row.metric, row.method): row
                for method in METHODS
                for row in estimate_month(
                    estimator,
                    method,
                    estimator.recalibrate(method, features),
                    decided,
                    of_reference,
                    role="replaced",
                    newest=newest,
                    tested_low=None,
                )
            }
            stored[month] = [_with_truth(row, found.get((row.metric, row.method))) for row in stored[month]]
    judged = tuple(grade((replace(row, role="replaced") for rows in stored.values() for row in rows), earlier))
    replace_months(settings, TABLE, model, judged)
    return judged


def _is_graded(row: PerformanceEstimate) -> bool:
    return row.metric not in (DEFAULTS_SO_FAR, POOLED_DEFAULT_RATE)


def _with_truth(row: PerformanceEstimate, found: PerformanceEstimate | None) -> PerformanceEstimate:
    if found is None:
        return row
    return replace(
        row,
        n_mature=found.n_mature,
        estimated_mature=found.estimated_mature,
        low_mature=found.low_mature,
        high_mature=found.high_mature,
        true_value=found.true_value,
    )
