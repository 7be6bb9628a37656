"""All limits of monitoring; they are applied when a month is measured.

The ``monitoring`` tables store each month's limit and verdict; alerts, metrics, sensors, the walk through history and
pages read them. A month of too few decisions or outcomes is measured but not judged, and has no limit.

The functions below the rules say why a judged month needs a new training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple


@dataclass(frozen=True)
class DriftRule:
    """When a feature or score counts as drifted.

    ``psi``: drift is above it, and above what sampling alone gives in 1 of 100 months. PSI of two samples from one
    distribution is close to ``(1/n + 1/m)`` times chi-squared with ``bins - 1`` degrees of freedom (Yurdakul and
    Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14(4), 2020),
    which is often above 0.2 for a month of 50 decisions.

    That holds for independent rows. A cohort feature has one value for all loans of a segment and day: a month of 2,000
    loans is a dozen draws. It must also stand out among the reference's own months: the share of them, and of itself,
    whose PSI is as great is at most ``among_months`` (a Monte Carlo p-value: Davison and Hinkley, Bootstrap Methods and
    their Application, 1997, section 4.2). Fewer than ``1 / among_months - 1`` months of reference can't tell.

    ``ks``: drift is also a Kolmogorov-Smirnov distance above it, and above what sampling gives in 1 of 100 months
    (Smirnov's asymptotic quantile, 1.628 times the root of ``1/n + 1/m``); None for no such rule. It needs independent
    rows, so that a cohort feature has no limit.

    ``missing_share_change``: limit of the absolute change of the share of missing values, with its normal
    approximation.

    ``min_decisions``: a month of fewer is not judged: one person's trial calls are not a sample of the applicants.

    ``severe_times``: a PSI of this many times its limit is severe.
    """

    psi: float = 0.2
    ks: float | None = None
    missing_share_change: float = 0.1
    among_months: float = 0.05
    min_decisions: int = 100
    severe_times: float = 2.5

    def psi_limit(
        self, *, n_reference: int, n_current: int, n_bins: int, reference_months: Sequence[float] | None = None
    ) -> float | None:
        """The PSI above which a month of these sizes has drifted; None if nothing can tell.

        ``reference_months``: for a cohort feature, the PSI of each reference month against the others.

        >>> DriftRule().psi_limit(n_reference=20_000, n_current=2_000, n_bins=11)
        0.2
        >>> DriftRule().psi_limit(n_reference=20_000, n_current=2_000, n_bins=11, reference_months=[1.0, 1.5] * 15)
        1.5
        """
        if n_current < self.min_decisions:
            return None
        limit = self.psi
        if n_bins > 1:
            from scipy.special import chdtri

            limit = max(limit, (1 / n_reference + 1 / n_current) * float(chdtri(n_bins - 1, 0.01)))
        if reference_months is None:
            return limit
        # maximum number of reference months that may be as far from the others
        n_as_far = math.floor(self.among_months * (len(reference_months) + 1)) - 1
        return None if n_as_far < 0 else max(limit, sorted(reference_months, reverse=True)[n_as_far])

    def ks_limit(self, *, n_reference: int, n_current: int) -> float | None:
        """The distance above which a month of this many present values has drifted; None without such a rule.

        >>> DriftRule(ks=0.1).ks_limit(n_reference=20_000, n_current=2_000)
        0.1
        """
        if self.ks is None or n_current < self.min_decisions or not n_reference:
            return None
        return max(self.ks, 1.628 * math.sqrt(1 / n_reference + 1 / n_current))

    def missing_share_limit(
        self, reference: float, current: float, *, n_reference: int, n_current: int
    ) -> float | None:
        """The change of a missing share that is drift: the limit, or sampling noise; None below ``min_decisions``."""
        if n_current < self.min_decisions:
            return None
        pooled = (reference * n_reference + current * n_current) / (n_reference + n_current)
        noise = 2.576 * math.sqrt(pooled * (1 - pooled) * (1 / n_reference + 1 / n_current))
        return max(self.missing_share_change, noise)


SkewKind = Literal["logged_features", "history_freshness"]


@dataclass(frozen=True)
class SkewRule:
    """When online values that differ from the warehouse's are an alert.

    Any different logged feature is one; stale history is, in more than ``stale_history_share`` of a month's decisions
    if the month has at least ``min_decisions``.
    """

    stale_history_share: float = 0.1
    min_decisions: int = 100

    def limit(self, kind: SkewKind, n_decisions: int, *, of_any_column: bool) -> float | None:
        """The greatest share of different decisions that is not an alert; None if it is not judged.

        Each logged feature is judged; of history, only whether a decision used any stale input.
        """
        if kind == "logged_features":
            return 0.0
        return self.stale_history_share if of_any_column and n_decisions >= self.min_decisions else None


class PerformanceVerdict(NamedTuple):
    """A month's limits, and whether its mature decisions keep them; no limits for a month that is not judged."""

    auc_limit: float | None = None
    default_rate_limit: float | None = None
    is_decayed: bool = False
    is_severe: bool = False


@dataclass(frozen=True)
class PerformanceRule:
    """When mature decisions show that a model has decayed.

    A month is judged from ``min_mature`` mature decisions with ``min_defaults`` defaults: below 50 defaults the 95 %
    interval of an AUC is wider than ±.08. An AUC more than ``auc_decay`` below the lower end of the test interval is
    worse than chance makes it, and so is one more than the share ``auc_drop`` below the test's AUC if the month's own
    95 % interval lies below that AUC; below ``min_auc`` a model hardly ranks, which is severe. A default rate above
    ``max_rate_ratio`` times the mean probability is another level of risk, and severe.
    """

    min_mature: int = 300
    min_defaults: int = 50
    min_auc: float = 0.55
    auc_decay: float = 0.02
    auc_drop: float | None = None
    max_rate_ratio: float = 1.5

    def judge(
        self,
        *,
        n_mature: int,
        n_defaults: int,
        auc: float | None,
        default_rate: float,
        mean_probability: float,
        tested_low: float | None = None,
        auc_high: float | None = None,
        tested_auc: float | None = None,
    ) -> PerformanceVerdict:
        """Judge a month; ``tested_low``: lower end of the version's AUC in its test, None if only the floor counts.

        ``auc_high``: upper end of the month's AUC, ``tested_auc``: the version's AUC in its test; for ``auc_drop``.

        >>> month = {"n_mature": 900, "n_defaults": 90, "default_rate": 0.1, "mean_probability": 0.1}
        >>> PerformanceRule().judge(auc=0.60, tested_low=0.68, **month)[::2]
        (0.66, True)
        """
        if n_mature < self.min_mature or n_defaults < self.min_defaults:
            return PerformanceVerdict()
        auc_limit = self.auc_limit(tested_low)
        if self.auc_drop is not None and tested_auc is not None and auc_high is not None and auc_high < tested_auc:
            auc_limit = max(auc_limit, tested_auc * (1 - self.auc_drop))
        rate_limit = self.max_rate_ratio * mean_probability
        is_off_level = default_rate > rate_limit
        return PerformanceVerdict(
            auc_limit=auc_limit,
            default_rate_limit=rate_limit,
            is_decayed=is_off_level or (auc is not None and auc < auc_limit),
            is_severe=is_off_level or (auc is not None and auc < self.min_auc),
        )

    def auc_limit(self, tested_low: float | None) -> float:
        """The AUC below which a version ranks worse than in its test."""
        return self.min_auc if tested_low is None else max(self.min_auc, tested_low - self.auc_decay)


class EstimateVerdict(NamedTuple):
    """The limit of an estimate, and whether it is beyond it; no limit for a figure that is not judged."""

    estimated_limit: float | None = None
    is_alarm: bool = False
    is_severe: bool = False


@dataclass(frozen=True)
class EstimateRule:
    """When performance that is estimated before labels are mature is an alarm.

    An estimated AUC is judged by the limit of a measured one. An estimated default rate is compared with the rate that
    the same estimator expects of all applicants of the reference's months. It is an alarm above that rate times
    ``min_rate_rise``, and above what the applicants of 1 in 40 months of an unchanged population give. Only ``cbpe`` is
    judged: the weights of ``pape`` vary from month to month by more than its interval says. Defaults so far are an
    alarm above the upper end of their interval.

    A month of fewer than ``pooled_decisions`` is judged a second time, together with as many months before it as reach
    that number, at most ``most_pooled_months`` in all, so that a rise that stays raises an alarm in most of its months,
    and a lender of 100 decisions a month is judged at all. Of 1 in 40 false alarms the month alone then has 1 in 50 and
    the months together 1 in 200 (Bonferroni): with equal parts the first month of a rise was found less often.

    ``min_decisions``: a month of fewer decisions is not estimated, and one of fewer labels not graded.
    ``severe_times``: a rate, or a number of defaults, of this many times the expected one is severe.
    """

    min_decisions: int = 300
    min_rate_rise: float = 1.05
    standard_errors: float = 1.96
    standard_errors_alone: float = 2.054
    standard_errors_pooled: float = 2.576
    pooled_decisions: int = 1_500
    most_pooled_months: int = 3
    severe_times: float = 1.5

    def n_pooled(self, n_decisions: Sequence[int]) -> int:
        """How many of the last months are judged together; 1 where the last is enough, or nothing is gained.

        ``n_decisions``: of consecutive months, oldest first. A month of a few decisions, as it begins, is not judged by
        those before it.

        >>> rule = EstimateRule()
        >>> rule.n_pooled([570, 570, 570, 570]), rule.n_pooled([900, 700]), rule.n_pooled([900, 1_500])
        (3, 2, 1)
        """
        n_months, total = 1, n_decisions[-1]
        if total * self.most_pooled_months < self.min_decisions:
            return 1
        while total < self.pooled_decisions and n_months < min(self.most_pooled_months, len(n_decisions)):
            n_months += 1
            total += n_decisions[-n_months]
        return n_months if total >= self.min_decisions else 1

    def judge_auc(self, auc: float, *, tested_low: float | None) -> EstimateVerdict:
        """Judge an estimated AUC; ``tested_low`` as in :meth:`PerformanceRule.judge`."""
        rule = PerformanceRule()
        limit = rule.auc_limit(tested_low)
        return EstimateVerdict(limit, auc < limit, auc < rule.min_auc)

    def judge_default_rate(
        self, rate: float, *, expected: float, standard_error: float, n_errors: float | None = None
    ) -> EstimateVerdict:
        """Judge an estimated default rate; ``standard_error``: of its difference from ``expected``.

        ``n_errors``: how many of them are chance; ``standard_errors`` unless the month is judged twice.

        >>> EstimateRule().judge_default_rate(0.14, expected=0.125, standard_error=0.0)
        EstimateVerdict(estimated_limit=0.13125, is_alarm=True, is_severe=False)
        """
        chance = (self.standard_errors if n_errors is None else n_errors) * standard_error
        limit = max(expected * self.min_rate_rise, expected + chance)
        return EstimateVerdict(limit, rate > limit, rate > max(limit, self.severe_times * expected))

    def judge_defaults_so_far(self, n_defaults: float, *, expected: float, high: float) -> EstimateVerdict:
        """Judge the defaults counted so far; ``high``: upper end of the interval of the expected number."""
        return EstimateVerdict(high, n_defaults > high, n_defaults > max(high, self.severe_times * expected))


#: Single features often move; if half of them have, the applicants differ from those trained on.
DRIFTED_FEATURE_SHARE: Final = 0.5


def scores_have_drifted(
    month: date, *, psi: float, is_drifted: bool, ks: float | None = None, ks_limit: float | None = None
) -> str | None:
    """Why a month's scores need a new training, or None."""
    if not is_drifted:
        return None
    distance = ks is not None and ks_limit is not None and ks > ks_limit
    return f"scores drifted in {month:%Y-%m}, PSI {psi:.3f}" + (
        f", KS {ks:.3f} above {ks_limit:.3g}" if distance else ""
    )


def features_have_drifted(month: date, *, n_drifted: int, n_features: int) -> str | None:
    """Why a month's features need a new training, or None."""
    if n_drifted < DRIFTED_FEATURE_SHARE * n_features:
        return None
    return f"{n_drifted} of {n_features} features drifted in {month:%Y-%m}"


def performance_has_decayed(
    month: date, *, auc: float | None, auc_limit: float, default_rate: float, default_rate_limit: float
) -> str | None:
    """Why a month's mature decisions need a new training: worse ranking than in the test, or more risk."""
    if auc is not None and auc < auc_limit:
        return f"AUC {auc:.4f} in {month:%Y-%m}, below its limit of {auc_limit:.4f}"
    if default_rate > default_rate_limit:
        return f"default rate {default_rate:.1%} in {month:%Y-%m}, above its limit of {default_rate_limit:.1%}"
    return None


def f1_is_low(month: date, *, f1: float, limit: float, reachable: float, default_rate: float) -> str | None:
    """Why a month's F1 needs a new training by the lender's rule, with a warning where the rule cannot be kept.

    ``reachable``: the F1 that the best of all cut-offs would be expected to reach with the month's probabilities. It
    depends on the share of defaults: declining everyone gives ``2r / (1 + r)`` at a default rate of r.

    >>> print(f1_is_low(date(2026, 1, 1), f1=0.7, limit=0.8, reachable=0.82, default_rate=0.5))
    F1 0.700 in 2026-01, below the limit of 0.8 in the lender's file
    """
    if f1 >= limit:
        return None
    reason = f"F1 {f1:.3f} in {month:%Y-%m}, below the limit of {limit:g} in the lender's file"
    if reachable >= limit:
        return reason
    return (
        f"{reason}; {default_rate:.1%} defaulted, and no cut-off is expected to reach more than {reachable:.3f}: "
        "training again cannot keep this rule, set a lower f1_below"
    )
