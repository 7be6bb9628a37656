"""Quality of a month's mature decisions, in SQL over every row; measures as in ``ml.judging.metrics``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import duckdb

from ml.judging.metrics import ECE_BINS
from ml.monitoring.limits import PerformanceRule, PromotedAuc
from ml.monitoring.samples import MonitoredModel, decisions_of
from ml.monitoring.tables import replace_months
from warehouse.lake.connection import connect
from warehouse.settings import Settings

#: Clips probabilities in the log loss, as ``ml.judging.metrics.log_loss`` does.
_LOG_EDGE = 1e-15


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
    settings: Settings, model: MonitoredModel, *, tested: PromotedAuc | None = None
) -> tuple[Performance, ...]:
    """Measure, and update ``monitoring.model_performance``; months with unchanged figures are not rewritten."""
    with connect(settings) as con:
        rows = measure_performance(con, model, tested=tested)
    replace_months(settings, "monitoring.model_performance", model, rows)
    return rows


def measure_performance(
    con: duckdb.DuckDBPyConnection, model: MonitoredModel, *, tested: PromotedAuc | None = None
) -> tuple[Performance, ...]:
    """One row per month with a mature decision; ``tested``: the version's own AUC, which limits the month's.

    A label is the warehouse's mature one (``training.lbl_default``), else the application's last outcome reported over
    HTTP. Every decision counts, including a second one on the same application.
    """
    where, parameters = decisions_of(model, None)
    labelled = _LABELLED.format(decisions=model.decisions, where=where)
    return measure_labelled(con, labelled, parameters, tested=tested)


def measure_labelled(
    con: duckdb.DuckDBPyConnection,
    labelled: str,
    parameters: Sequence[object] = (),
    *,
    tested: PromotedAuc | None = None,
) -> tuple[Performance, ...]:
    """One row per month with a labelled decision.

    ``labelled``: a query of ``month``, ``p`` (the probability given) and ``is_default`` (null if unknown), one row per
    decision.
    """
    found = [Performance(*row) for row in con.execute(_SQL.format(labelled=labelled), list(parameters)).fetchall()]
    return tuple(_judged(month, tested) for month in found)


def _judged(month: Performance, tested: PromotedAuc | None) -> Performance:
    verdict = PerformanceRule().judge(
        n_mature=month.n_mature,
        n_defaults=month.n_defaults,
        auc=month.auc,
        default_rate=month.default_rate,
        mean_probability=month.mean_probability,
        tested=tested,
    )
    return replace(month, **verdict._asdict())


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

_SQL = f"""
with labelled as ({{labelled}}),
months as (
    select
        month,
        count(*) as n_decisions,
        count(is_default) as n_mature,
        count(*) filter (where is_default) as n_defaults,
        avg(p) filter (where is_default is not null) as mean_probability,
        avg(pow(p - is_default::integer, 2)) as brier,
        -avg(if(is_default, ln(greatest(p, {_LOG_EDGE})), ln(greatest(1 - p, {_LOG_EDGE})))) filter (
            where is_default is not null
        ) as log_loss
    from labelled group by month
),
-- one row a distinct probability: decisions of equal probability share a rank, a bin and a step of the curve
scores as (
    select month, p, count(*) as n, count(*) filter (where is_default) as n_bad
    from labelled where is_default is not null group by all
),
ranked as (
    select
        *,
        n - n_bad as n_good,
        sum(n) over up_to as n_up_to,
        sum(n_bad) over up_to as bad_up_to,
        sum(n - n_bad) over up_to as good_up_to,
        sum(n) over everything as n_all,
        sum(n_bad) over everything as bad_all,
        sum(n - n_bad) over everything as good_all
    from scores
    window up_to as (partition by month order by p), everything as (partition by month)
),
discrimination as (
    select
        month,
        -- a defaulter beats every repayer below it, and half of those beside it
        sum(n_bad * (good_up_to - n_good / 2)) / any_value(bad_all * good_all) as auc,
        max(abs(bad_up_to / bad_all - good_up_to / good_all)) as ks
    from ranked where bad_all > 0 and good_all > 0 group by month
),
bins as (
    select
        month,
        least(floor((n_up_to - (n - 1) / 2 - 0.5) / n_all * {ECE_BINS}), {ECE_BINS} - 1) as bin,
        sum(n) as n,
        sum(n_bad) as n_bad,
        sum(n * p) as sum_p
    from ranked group by all
),
calibration as (
    select month, sum(abs(n_bad - sum_p)) / sum(n) as ece from bins group by month
)
select
    months.month,
    n_decisions,
    n_mature,
    n_defaults,
    n_defaults / n_mature as default_rate,
    mean_probability,
    auc,
    2 * auc - 1 as gini,
    ks,
    brier,
    log_loss,
    ece
from months
left join discrimination using (month)
left join calibration using (month)
where n_mature > 0
order by months.month
"""
