"""Estimate every month of a served version's decisions, grade what has matured, and store both."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, get_args

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.bundle.scorer import Scorer
from ml.estimates.early_defaults import expected_defaults
from ml.estimates.estimate import LEVEL, Estimator, Interval, Method, Recalibrated
from ml.estimates.expected import Metric
from ml.estimates.grades import DEFAULTS_SO_FAR, EXPOSURE, POOLED_DEFAULT_RATE, PerformanceEstimate, grade
from ml.estimates.labelled_reference import (
    DecidedMonth,
    compared_features,
    decided_months,
    default_times,
    read_month,
    read_observed,
    read_reference,
)
from ml.estimates.pooling import estimate_pooled, pooled_months
from ml.estimates.stored import TABLE, earlier_grades, stored_estimates
from ml.monitoring.limits import EstimateRule, EstimateVerdict
from ml.monitoring.samples import MonitoredModel
from ml.monitoring.tables import replace_months
from warehouse.lake.connection import connect
from warehouse.settings import Settings

METHODS: tuple[Method, ...] = get_args(Method)
_RULE = EstimateRule()
#: Each holds its draws of the reference loans: 200 MB of 20,000 loans.
_MOST_THREADS = 4


def record_estimates(
    settings: Settings, model: MonitoredModel, scorer: Scorer, *, role: str, tested_low: float | None = None
) -> tuple[PerformanceEstimate, ...]:
    """Estimate, grade and store the months of a version; ``tested_low``: lower end of its AUC in its test.

    A month whose decisions and labels are as many as when it was stored is not estimated again. A month of fewer
    decisions than the rule's minimum is only judged with those before it. Raises MonitoringError if the version's
    snapshot has no test rows.
    """
    snapshot = scorer.bundle.lineage.lake_snapshot
    # NumPy and XGBoost release the interpreter: months are estimated beside each other, and while others are read
    with connect(settings) as con, ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
        months = decided_months(con, model)
        stored, earlier = stored_estimates(con, model), earlier_grades(con, model)
        reference, newest = read_reference(con, scorer, model, snapshot=snapshot)
        estimator = Estimator(reference, cut_off=scorer.bundle.policy.cut_off)
        times = default_times(con, model.source)
        of_reference = estimator.truth(reference.probability, reference.defaulted)
        # of each month what is kept or quickly made, then what a thread makes of it
        rows: list[Iterable[PerformanceEstimate] | Future[list[PerformanceEstimate]]] = []
        for place, (month, n_decisions, n_mature) in enumerate(months):
            so_far = [each[:2] for each in months[: place + 1]]
            pooled = _pooled(con, estimator, so_far, stored.get(month, []), role=role, newest=newest)
            rows.append(pooled)
            if n_decisions < _RULE.min_decisions:
                continue
            kept = [row for row in stored.get(month, []) if row.metric not in (DEFAULTS_SO_FAR, POOLED_DEFAULT_RATE)]
            if kept and all((row.n_decisions, row.n_mature) == (n_decisions, n_mature) for row in kept):
                rows.append([replace(row, role=role) for row in kept])
            else:
                estimate = partial(
                    _by_each_method,
                    estimator,
                    read_month(con, month),
                    compared_features(con, scorer, model, month),
                    of_reference,
                    role=role,
                    newest=newest,
                    tested_low=tested_low,
                    n_errors=_RULE.standard_errors_alone if pooled else None,
                )
                rows.append(pool.submit(estimate))
            if len(times):
                early = _early(
                    con,
                    model,
                    month,
                    n_decisions=n_decisions,
                    estimator=estimator,
                    times=times,
                    role=role,
                    newest=newest,
                )
                rows.append(list(early))
        estimated = [row for each in rows for row in (each.result() if isinstance(each, Future) else each)]
    judged = tuple(grade(estimated, earlier))
    replace_months(settings, TABLE, model, judged)
    return judged


def _by_each_method(
    estimator: Estimator,
    decided: DecidedMonth,
    features: NDArray[np.float32],
    of_reference: Mapping[Metric, float],
    **judged: Any,
) -> list[PerformanceEstimate]:
    """The rows of a month by all methods; ``judged``: as of :func:`estimate_month`."""
    return [
        row
        for method in METHODS
        for row in estimate_month(
            estimator, method, estimator.recalibrate(method, features), decided, of_reference, **judged
        )
    ]


def estimate_month(
    estimator: Estimator,
    method: Method,
    found: Recalibrated,
    decided: DecidedMonth,
    of_reference: Mapping[Metric, float],
    *,
    role: str,
    newest: date,
    tested_low: float | None,
    n_errors: float | None = None,
) -> list[PerformanceEstimate]:
    """The rows of a month and method, with the true values of its mature decisions; ``newest``: reference month.

    ``n_errors``: as in :meth:`EstimateRule.judge_default_rate`.
    """
    expected_rate, standard_error = estimator.rate_of_applicants(decided.probability)
    of_reference = {**of_reference, "default_rate": expected_rate}
    mature, n_mature = decided.is_mature, int(decided.is_mature.sum())
    estimated = estimator.estimate(found, decided.probability)
    graded: Mapping[Metric, Interval] = {}
    truth: Mapping[Metric, float] = {}
    if n_mature >= _RULE.min_decisions:
        p = decided.probability[mature]
        graded = estimator.estimate(found, p)
        truth = estimator.truth(p, decided.defaulted[mature])
    unknown = Interval(np.nan, np.nan, np.nan)
    return [
        PerformanceEstimate(
            month=decided.month,
            role=role,
            metric=metric,
            method=method,
            n_decisions=len(decided.probability),
            n_reference=found.n_effective,
            **_named(interval, ""),
            level=LEVEL,
            reference_value=_number(of_reference[metric]),
            horizon_months=_months_between(newest, decided.month),
            n_mature=n_mature,
            **_named(graded.get(metric, unknown), "_mature"),
            true_value=_number(truth.get(metric, np.nan)),
            **_verdict(
                metric,
                method,
                interval,
                expected_rate=expected_rate,
                standard_error=standard_error,
                tested_low=tested_low,
                n_errors=n_errors,
            ),
        )
        for metric, interval in estimated.items()
    ]


def _early(
    con: duckdb.DuckDBPyConnection,
    model: MonitoredModel,
    month: date,
    *,
    n_decisions: int,
    estimator: Estimator,
    times: NDArray[np.float64],
    role: str,
    newest: date,
) -> Iterable[PerformanceEstimate]:
    loans = read_observed(con, model, month)
    if len(loans.probability) < _RULE.min_decisions:
        return
    line = estimator.recalibrate("cbpe", estimator.reference.matrix[:0])
    interval = expected_defaults(loans, times, line.line, line.drawn)
    n_defaults = float(loans.defaulted.sum())
    yield PerformanceEstimate(
        month=month,
        role=role,
        metric=DEFAULTS_SO_FAR,
        method=EXPOSURE,
        n_decisions=n_decisions,
        n_reference=line.n_effective,
        **_named(interval, ""),
        level=LEVEL,
        reference_value=None,
        horizon_months=_months_between(newest, month),
        n_mature=len(loans.probability),
        **_named(interval, "_mature"),
        true_value=n_defaults,
        **_RULE.judge_defaults_so_far(n_defaults, expected=interval.estimated, high=interval.high)._asdict(),
    )


def _verdict(
    metric: Metric,
    method: Method,
    interval: Interval,
    *,
    expected_rate: float,
    standard_error: float,
    tested_low: float | None,
    n_errors: float | None,
) -> dict[str, Any]:
    """Limit and verdict of a figure; only ``cbpe`` is judged."""
    verdict = EstimateVerdict()
    if method == "cbpe" and metric == "auc" and not math.isnan(interval.estimated):
        verdict = _RULE.judge_auc(interval.estimated, tested_low=tested_low)
    elif method == "cbpe" and metric == "default_rate":
        verdict = _RULE.judge_default_rate(
            interval.estimated,
            expected=expected_rate,
            standard_error=standard_error,
            n_errors=n_errors,
        )
    return verdict._asdict()


def _pooled(
    con: duckdb.DuckDBPyConnection,
    estimator: Estimator,
    months: Sequence[tuple[date, int]],
    stored: Iterable[PerformanceEstimate],
    *,
    role: str,
    newest: date,
) -> list[PerformanceEstimate]:
    """The row of the last month judged with those before it, the stored one if it is of as many decisions; or none."""
    together = pooled_months(months, _RULE)
    if len(together) == 1:
        return []
    n_pooled = sum(n_decisions for each, n_decisions in months if each in together)
    kept = [row for row in stored if (row.metric, row.n_decisions) == (POOLED_DEFAULT_RATE, n_pooled)]
    if kept:
        return [replace(row, role=role) for row in kept]
    month, n_decisions = months[-1]
    is_judged_twice = n_decisions >= _RULE.min_decisions
    return [
        estimate_pooled(
            estimator,
            np.concatenate([read_month(con, each).probability for each in together]),
            month=month,
            role=role,
            horizon_months=_months_between(newest, month),
            n_errors=_RULE.standard_errors_pooled if is_judged_twice else _RULE.standard_errors,
        )
    ]


def _named(interval: Interval, suffix: str) -> dict[str, Any]:
    return {f"{name}{suffix}": _number(value) for name, value in interval._asdict().items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _months_between(first: date, last: date) -> int:
    return 12 * (last.year - first.year) + last.month - first.month
