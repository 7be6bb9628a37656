"""Grade estimates by what was true: whether the interval held it, and whether the estimator can still be trusted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

#: The metric of :mod:`ml.estimates.early_defaults`, and its method.
DEFAULTS_SO_FAR: Final = "defaults_so_far"
EXPOSURE: Final = "exposure"
#: The metric of :mod:`ml.estimates.pooling`.
POOLED_DEFAULT_RATE: Final = "pooled_default_rate"


@dataclass(frozen=True, kw_only=True)
class PerformanceEstimate:
    """One row of ``monitoring.performance_estimates``, without its owner and time.

    ``estimated``, ``low``, ``high``: of all decisions of the month; None where they do not define the figure. The same
    with ``_mature``: of the decisions whose labels are mature, to compare with ``true_value``. ``horizon_months``: from
    the newest labelled reference loan to the month. ``n_graded``, ``n_missed``: earlier months with a true value, those
    of earlier champions included, and those whose interval did not hold it.
    """

    month: date
    role: str
    metric: str
    method: str
    n_decisions: int
    n_reference: float
    estimated: float | None
    low: float | None
    high: float | None
    level: float
    reference_value: float | None
    horizon_months: int
    estimated_limit: float | None = None
    is_alarm: bool = False
    is_severe: bool = False
    n_mature: int = 0
    estimated_mature: float | None = None
    low_mature: float | None = None
    high_mature: float | None = None
    true_value: float | None = None
    is_covered: bool | None = None
    n_graded: int = 0
    n_missed: int = 0
    is_trusted: bool = True


def grade(
    rows: Iterable[PerformanceEstimate], earlier: Mapping[tuple[str, str], Mapping[date, bool]] | None = None
) -> list[PerformanceEstimate]:
    """Compare each row with its true value, and count for each month what the estimator missed before it.

    ``rows``: of one model version. ``earlier``: by metric and method, the months of the champions before it, of which a
    version's own grade takes the place; without them a lender that trains often would never know how good its
    estimates are. Months up to the newest reference loan are not graded, nor are defaults so far: a number outside the
    interval says that risk has changed, not that the estimator is wrong.
    """
    graded = []
    seen = {key: dict(months) for key, months in (earlier or {}).items()}
    for row in sorted(rows, key=lambda each: (each.month, each.metric, each.method)):
        months = seen.setdefault((row.metric, row.method), {})
        before = [is_covered for month, is_covered in months.items() if month < row.month]
        n_missed = sum(not is_covered for is_covered in before)
        is_covered = None
        # a month of reference loans knows their outcomes already
        is_known = row.metric != DEFAULTS_SO_FAR and row.horizon_months > 0
        if is_known and row.true_value is not None and row.low_mature is not None and row.high_mature is not None:
            is_covered = row.low_mature <= row.true_value <= row.high_mature
            months[row.month] = is_covered
        graded.append(
            replace(
                row,
                is_covered=is_covered,
                n_graded=len(before),
                n_missed=n_missed,
                is_trusted=is_trusted(len(before), n_missed, level=row.level),
            )
        )
    return graded


def is_trusted(n_graded: int, n_missed: int, *, level: float) -> bool:
    """Whether an estimator of this level would miss as many months in more than 1 of 20 cases (binomial test).

    >>> is_trusted(20, 2, level=0.95), is_trusted(20, 4, level=0.95), is_trusted(0, 0, level=0.95)
    (True, False, True)
    """
    from scipy.stats import binom

    return bool(binom.sf(n_missed - 1, n_graded, 1 - level) > 0.05)
