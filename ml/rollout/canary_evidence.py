"""The evidence of a canary's step: champion and challenger side by side, by SQL over scores and failures.

A hash splits applicants, so the groups differ only in version and chance. Each check compares an estimate with a limit,
by an interval that holds at every look (:func:`half_width`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import log, sqrt
from typing import Any, NamedTuple

import duckdb

from ml.monitoring.distributions import PSEUDO_COUNT
from ml.registry.deployment import CanaryPlan, Challenger, Deployment

#: Maximum excess over the champion's figures.
MOST_LATENCY, MOST_ERRORS, MOST_PSI, MOST_SHIFT = 0.20, 0.05, 0.10, 0.15
#: Probability that a challenger within them is ever sent back, over all steps, checks and looks.
ALPHA = 0.05
_N_BINS = 10
_N_CHECKS = 4

_ARMS = f"""
with decisions as (
    select role, probability, latency_ms
    from serving.predictions
    where source = $1
        and model_name = $2
        and route in ('online', 'inline_batch')
        and ((role = 'champion' and model_version = $3) or (role = 'challenger' and model_version = $4))
        and ingested_at >= $5
),
cuts as (
    select quantile_disc(probability, {[tenth / _N_BINS for tenth in range(1, _N_BINS)]}) as above
    from decisions where role = 'champion'
),
binned as (
    select decisions.*, len(list_filter(above, lambda cut: probability > cut)) as bin from decisions cross join cuts
)
select
    role,
    count(*) as n,
    avg(latency_ms) as latency_mean,
    var_samp(latency_ms) as latency_variance,
    avg(probability) as probability_mean,
    var_samp(probability) as probability_variance,
    [{", ".join(f"count(*) filter (bin = {number})" for number in range(_N_BINS))}] as bins
from binned
group by role
"""
_FAILURES = """
select role, count(*)
from serving.scoring_failures
where source = $1
    and model_name = $2
    and ((role = 'champion' and model_version = $3) or (role = 'challenger' and model_version = $4))
    and ingested_at >= $5
group by role
"""


@dataclass(frozen=True)
class Moments:
    """Mean and sample variance of a figure over one version's decisions."""

    mean: float = 0.0
    variance: float = 0.0


@dataclass(frozen=True)
class Arm:
    """One version since the step began; ``latency`` in ms, ``bins`` by the champion's probability deciles."""

    n: int = 0
    n_failed: int = 0
    latency: Moments = Moments()
    probability: Moments = Moments()
    bins: tuple[int, ...] = (0,) * _N_BINS

    @property
    def n_asked(self) -> int:
        """Applications assigned to it."""
        return self.n + self.n_failed

    @property
    def error_rate(self) -> float:
        """Share of them that it could not score."""
        return self.n_failed / self.n_asked


@dataclass(frozen=True)
class Check:
    """The challenger's excess in one respect, with bounds that hold at every look, and the limit."""

    name: str
    estimate: float
    low: float
    high: float
    limit: float

    @property
    def is_broken(self) -> bool:
        """Whether the excess is certainly above the limit."""
        return self.low > self.limit

    @property
    def is_kept(self) -> bool:
        """Whether the excess is certainly within the limit."""
        return self.high < self.limit

    def __str__(self) -> str:
        return f"{self.name} {self.estimate:+.3f} ({self.low:+.3f} to {self.high:+.3f}; limit {self.limit:g})"


class _Estimate(NamedTuple):
    """The challenger's estimated excess in one respect, from ``n`` applications of both."""

    name: str
    value: float
    variance: float
    n: int
    limit: float


@dataclass(frozen=True)
class Evidence:
    """Both versions since the step began.

    ``checks``: empty while either had too few requests; only errors while either answered too few for the others.
    """

    since: datetime
    champion: Arm
    challenger: Arm
    checks: tuple[Check, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all comparisons were possible."""
        return len(self.checks) == _N_CHECKS

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the audit."""
        return {**asdict(self), "since": self.since.isoformat()}


def collect_evidence(con: duckdb.DuckDBPyConnection, champion: Deployment, canary: Challenger) -> Evidence:
    """The lake's evidence of the canary's present step; raises ValueError if the challenger is not a canary."""
    if canary.plan is None or canary.step_began_at is None:
        raise ValueError(f"a canary has a plan and a step: {canary.name} has none")
    since = datetime.fromisoformat(canary.step_began_at).replace(tzinfo=None)
    parameters = [
        champion.source,
        champion.model_name,
        champion.model_version,
        canary.deployment.model_version,
        since,
    ]
    try:
        failed = dict(con.execute(_FAILURES, parameters).fetchall())
        answered = {role: figures for role, *figures in con.execute(_ARMS, parameters).fetchall()}
    except duckdb.CatalogException:  # no writer of this version has opened the lake yet
        failed, answered = {}, {}
    champion_arm, canary_arm = (_arm(answered.get(role), failed.get(role, 0)) for role in ("champion", "challenger"))
    return weigh(since, champion_arm, canary_arm, canary.plan)


def weigh(since: datetime, champion: Arm, challenger: Arm, plan: CanaryPlan) -> Evidence:
    """Check the challenger against the champion once both have enough requests."""
    if min(champion.n_asked, challenger.n_asked) < plan.min_decisions:
        return Evidence(since, champion, challenger)
    estimates = [_errors(champion, challenger)]
    # a version that fails on most has nothing else to compare
    if min(champion.n, challenger.n) >= plan.min_decisions / 2:
        n = champion.n + challenger.n
        latency, latency_variance = _ratio(challenger.latency, challenger.n, champion.latency, champion.n)
        shift, shift_variance = _ratio(challenger.probability, challenger.n, champion.probability, champion.n)
        estimates += [
            _Estimate("latency", latency - 1, latency_variance, n, MOST_LATENCY),
            _psi(champion, challenger),
            _Estimate("mean probability", abs(shift - 1), shift_variance, n, MOST_SHIFT),
        ]
    alpha, checks = ALPHA / (_N_CHECKS * len(plan.steps)), []
    for name, value, variance, n, limit in estimates:
        width = half_width(variance, n, alpha=alpha, tuned_for=4 * plan.min_decisions)
        checks.append(Check(name, value, value - width, value + width, limit))
    return Evidence(since, champion, challenger, tuple(checks))


def _arm(answered: Sequence[Any] | None, n_failed: int) -> Arm:
    if answered is None:
        return Arm(n_failed=n_failed)
    n, latency_mean, latency_variance, probability_mean, probability_variance, bins = answered
    return Arm(
        n=n,
        n_failed=n_failed,
        # one decision has no variance
        latency=Moments(latency_mean, latency_variance or 0.0),
        probability=Moments(probability_mean, probability_variance or 0.0),
        bins=tuple(bins),
    )


def _errors(champion: Arm, challenger: Arm) -> _Estimate:
    variance = 0.0
    for arm in (champion, challenger):
        # smoothed by half a failure and half a success: zero failures do not prove a zero rate
        rate = (arm.n_failed + 0.5) / (arm.n_asked + 1)
        variance += rate * (1 - rate) / arm.n_asked
    n = champion.n_asked + challenger.n_asked
    return _Estimate("errors", challenger.error_rate - champion.error_rate, variance, n, MOST_ERRORS)


def _psi(champion: Arm, challenger: Arm) -> _Estimate:
    """Population stability index of the probabilities, minus its mean for two equal versions.

    With n and m decisions in B bins chance makes (B - 1)(1/n + 1/m), with variance 2 (B - 1)(1/n + 1/m)²: Yurdakul and
    Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14 (2020).
    Otherwise the delta method gives the variance.
    """
    n, m = challenger.n, champion.n
    now, before = _shares(challenger.bins), _shares(champion.bins)
    pairs = list(zip(now, before, strict=True))
    psi = sum((p - q) * log(p / q) for p, q in pairs)
    by_chance = 1 / n + 1 / m
    variance = 2 * (_N_BINS - 1) * by_chance**2
    variance += _variance_of_sum(now, [log(p / q) + 1 - q / p for p, q in pairs]) / n
    variance += _variance_of_sum(before, [log(q / p) + 1 - p / q for p, q in pairs]) / m
    return _Estimate("score PSI", psi - (_N_BINS - 1) * by_chance, variance, n + m, MOST_PSI)


def _ratio(of: Moments, n: int, base: Moments, n_base: int) -> tuple[float, float]:
    ratio = of.mean / base.mean
    return ratio, (of.variance / n + ratio**2 * base.variance / n_base) / base.mean**2


def _variance_of_sum(shares: Sequence[float], weights: Sequence[float]) -> float:
    mean = sum(share * weight for share, weight in zip(shares, weights, strict=True))
    return sum(share * (weight - mean) ** 2 for share, weight in zip(shares, weights, strict=True))


def _shares(bins: Sequence[int]) -> list[float]:
    total = sum(bins) + PSEUDO_COUNT * len(bins)
    return [(count + PSEUDO_COUNT) / total for count in bins]


def half_width(variance: float, n: int, *, alpha: float, tuned_for: int) -> float:
    """Half the width of the interval around an estimate from ``n`` observations, which holds at every look.

    Peeking after each decision adds no errors: asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy
    and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024),
    theorem 2.2 with the tuning of appendix B.2.

    ``variance``: of the estimate, about s²/n. ``alpha``: probability that the truth is ever outside, over all looks.
    ``tuned_for``: number of observations with the narrowest interval, about 1.5 times that of a single look.
    """
    rho_squared = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / tuned_for
    mixed = n * rho_squared + 1
    return sqrt(variance * n) * sqrt(2 * mixed / (n * n * rho_squared) * log(sqrt(mixed) / alpha))
