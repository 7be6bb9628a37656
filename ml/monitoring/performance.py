"""Quality of a month's mature decisions, over every row, by the measures of ``ml.judging.metrics``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from ml.judging.metrics import measure
from ml.monitoring.limits import PerformanceRule
from ml.monitoring.samples import MonitoredModel, decisions_of
from ml.monitoring.tables import digest, due_months, recorded, replace_months
from warehouse.lake.connection import connect
from warehouse.settings import Settings

TABLE = "monitoring.model_performance"
_RULE = PerformanceRule()
_MEASURES = ("default_rate", "mean_probability", "auc", "gini", "ks", "brier", "log_loss", "ece")


@dataclass(frozen=True)
class Performance:
    """One row of ``monitoring.model_performance``.

    ``auc``, ``gini`` and ``ks`` are None if all mature decisions had the same outcome. ``ece`` is over ten bins of
    equal numbers of decisions. Limits and verdicts: :class:`ml.monitoring.limits.PerformanceRule`; none for a month
    that is not judged.
    """

    month: date
    n_decisions: int
    n_mature: int
    n_defaults: int
    default_rate: float
    mean_probability: float
    auc: float | None
    gini: float | None
    ks: float | None
    brier: float
    log_loss: float
    ece: float
    auc_limit: float | None = None
    default_rate_limit: float | None = None
    is_decayed: bool = False
    is_severe: bool = False

    @property
    def is_judged(self) -> bool:
        """Whether the month has enough mature decisions and defaults for a verdict."""
        return self.auc_limit is not None


def record_performance(
    settings: Settings,
    model: MonitoredModel,
    *,
    tested_low: float | None = None,
    tested_auc: float | None = None,
    rule: PerformanceRule = _RULE,
) -> tuple[Performance, ...]:
    """One row per month with a mature decision; ``tested_low``, ``tested_auc``: as in :meth:`PerformanceRule.judge`.

    A label is the warehouse's mature one (``training.lbl_default``), else the application's last outcome reported over
    HTTP. Every decision counts, including a second one on the same application. Updates
    ``monitoring.model_performance`` and returns the model's rows in it. Only months with a new decision or label are
    measured (:mod:`ml.monitoring.tables`).
    """
    query, parameters = labelled_decisions(model)
    with connect(settings) as con:
        _load_labelled(con, query, parameters)
        # the sum of hashes does not depend on the order of rows
        contents = con.execute(
            "select month, count(*), sum(hash(p, is_default)) from labelled_decisions group by month "
            "having count(is_default) > 0"
        ).fetchall()
        basis = model.decisions, tested_low, tested_auc, rule
        measured_from = {month: digest(*content, *basis) for month, *content in contents}
        due = due_months(con, TABLE, model, measured_from)
        rows = _measure_months(con, due, rule, tested_low, tested_auc)
    if due:
        replace_months(settings, TABLE, model, rows, months=due, measured_from=measured_from)
    with connect(settings) as con:
        return recorded(con, TABLE, model, Performance)


def labelled_decisions(model: MonitoredModel) -> tuple[str, list[object]]:
    """The query of a model's decisions and their labels, as :func:`measure_labelled` reads it, and its parameters."""
    where, parameters = decisions_of(model, None)
    return _LABELLED.format(decisions=model.decisions, where=where), parameters


def measure_labelled(
    con: duckdb.DuckDBPyConnection,
    labelled: str,
    parameters: Sequence[object] = (),
    *,
    tested_low: float | None = None,
) -> tuple[Performance, ...]:
    """One row per month with a labelled decision.

    ``labelled``: a query of ``month``, ``p`` (the probability given) and ``is_default`` (null if unknown), one row per
    decision.
    """
    _load_labelled(con, labelled, parameters)
    return _measure_months(con, None, _RULE, tested_low, None)


def _load_labelled(con: duckdb.DuckDBPyConnection, labelled: str, parameters: Sequence[object]) -> None:
    con.execute(f"create or replace temp table labelled_decisions as {labelled}", list(parameters))


def _measure_months(
    con: duckdb.DuckDBPyConnection,
    months: Sequence[date] | None,
    rule: PerformanceRule,
    tested_low: float | None,
    tested_auc: float | None,
) -> tuple[Performance, ...]:
    found = con.execute(
        "select month, count(*) from labelled_decisions where $1 is null or list_contains($1::date[], month) "
        "group by month having count(is_default) > 0 order by month",
        [None if months is None else list(months)],
    ).fetchall()
    return tuple(_measured(con, month, n_decisions, rule, tested_low, tested_auc) for month, n_decisions in found)


def _measured(  # noqa: PLR0917  # a month, and by what it is judged
    con: duckdb.DuckDBPyConnection,
    month: date,
    n_decisions: int,
    rule: PerformanceRule,
    tested_low: float | None,
    tested_auc: float | None,
) -> Performance:
    # one month in memory at a time
    found = con.execute(
        # sums in a fixed order have the same last digits in every run
        "select p, is_default from labelled_decisions where month = $1 and is_default is not null order by all",
        [month],
    ).fetchnumpy()
    # no measure kept here depends on the cut-off
    measured = measure(found["is_default"], found["p"], cut_off=1.0)
    figures = {name: value for name, value in measured.to_dict().items() if name in _MEASURES}
    counts: dict[str, Any] = {"n_mature": measured.n, "n_defaults": measured.n_defaults}
    verdict = rule.judge(
        **counts,
        auc=figures["auc"],
        default_rate=measured.default_rate,
        mean_probability=measured.mean_probability,
        tested_low=tested_low,
        auc_high=measured.to_dict()["auc_high"],
        tested_auc=tested_auc,
    )
    return Performance(month=month, n_decisions=n_decisions, **counts, **figures, **verdict._asdict())


_LABELLED = """
with decisions as (
    select date_trunc('month', decided_at)::date as month, application_id, probability
    from {decisions} where {where}
),
reported as (
    select application_id, max_by(is_default, known_at) as is_default
    from serving.reported_outcomes where source = $1 group by application_id
)
select decisions.month, decisions.probability as p, coalesce(labels.is_default, reported.is_default) as is_default
from decisions
left join training.lbl_default as labels
    on labels.application_id = decisions.application_id and labels.source = $1
left join reported on reported.application_id = decisions.application_id
"""
