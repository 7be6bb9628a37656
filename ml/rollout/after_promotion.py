"""Go back by itself from a champion that fails, or answers slowly, soon after its promotion.

Its decisions since then are compared with those of the version before, which answered the same callers. Only what a
version is responsible for counts: errors and latency of scoring, not a store or a disk that is away.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import duckdb

from ml.registry.deployment import MIN_DECISIONS, Deployment, read_deployment, read_history
from ml.rollout.canary_evidence import ALPHA, Check, half_width
from ml.rollout.promotion import rollback
from warehouse.errors import NoLakeError
from warehouse.lake.connection import connect
from warehouse.settings import Settings

#: Maximum share of applications that a version fails on, and of answers that take longer than ``SLOW_MS``, above that
#: of the version before.
MOST_ERRORS, MOST_SLOW, SLOW_MS = 0.05, 0.05, 500.0
#: How far back decisions of the version before count.
_BEFORE = timedelta(days=30)

_COUNTS = """
with scored as (
    select model_version, ingested_at, 0 as failed, (latency_ms > $6)::integer as slow
    from serving.predictions
    where source = $1 and model_name = $2 and role in ('champion', 'fallback') and route in ('online', 'inline_batch')
    union all
    select model_version, ingested_at, 1 as failed, null as slow
    from serving.scoring_failures
    where source = $1 and model_name = $2 and role in ('champion', 'fallback')
)
select model_version = $3 as is_new, count(*), sum(failed)::bigint, coalesce(sum(slow), 0)::bigint
from scored
where (model_version = $3 and ingested_at >= $5)
    or (model_version = $4 and ingested_at < $5 and ingested_at >= $5 - $7::interval)
group by is_new
"""


@dataclass(frozen=True)
class Answers:
    """Applications that a version was asked for, those that it failed on, and slow answers among the others."""

    n_asked: int = 0
    n_failed: int = 0
    n_slow: int = 0

    @property
    def n_answered(self) -> int:
        """Applications that got a score."""
        return self.n_asked - self.n_failed


@dataclass(frozen=True)
class Watch:
    """A new champion beside the version before; ``why``: one sentence about ``move``."""

    deployment: Deployment
    move: Literal["back", "wait"]
    why: str
    since_promotion: Answers
    before: Answers
    checks: tuple[Check, ...] = ()

    @property
    def name(self) -> str:
        """The champion's name and version."""
        return f"{self.deployment.model_name} version {self.deployment.model_version}"

    @property
    def figures(self) -> dict[str, Any]:
        """Plain JSON types, for the audit; ``left_version`` is what is left if it moves back."""
        kept = {"since_promotion": self.since_promotion, "before": self.before}
        return {
            "left_version": self.deployment.model_version,
            **{name: asdict(answers) for name, answers in kept.items()},
            "checks": [asdict(check) for check in self.checks],
        }


def watch_champion(settings: Settings, lender: str, *, at: datetime | None = None) -> Watch | None:
    """The verdict on the lender's champion ``at`` that time (now); None if it is not watched.

    Watched is a version that was promoted within ``rollback_minutes`` over another one. A version that a rollback put
    back is not, nor one that was left like this before: whoever promoted it again has decided.
    """
    deployment = read_deployment(settings, lender)
    if settings.rollback_minutes is None or deployment is None or deployment.previous is None:
        return None
    promoted_at = datetime.fromisoformat(deployment.published_at)
    if (at or datetime.now(UTC)) > promoted_at + timedelta(minutes=settings.rollback_minutes):
        return None
    if not _is_first_trial(settings, deployment):
        return None
    since, before = _answers(settings, deployment, deployment.previous, promoted_at)
    if since.n_asked < MIN_DECISIONS:
        why = f"{since.n_asked:,} of {MIN_DECISIONS} applications that are needed are in the lake since its promotion"
        return Watch(deployment, "wait", why, since, before)
    checks = _checks(since, before)
    broken = [check for check in checks if check.is_broken]
    if broken:
        why = f"worse than the version before: {'; '.join(map(str, broken))}"
        return Watch(deployment, "back", why, since, before, checks)
    return Watch(deployment, "wait", f"kept: {'; '.join(map(str, checks))}", since, before, checks)


def go_back_if_worse(settings: Settings, lender: str, *, by: str) -> Watch | None:
    """Judge the lender's champion, and serve the version before again if it is certainly worse.

    The history keeps reason and figures. Raises NotFoundError if another version is served by then, and BundleError if
    the version before cannot be read.
    """
    watch = watch_champion(settings, lender)
    if watch is not None and watch.move == "back":
        rollback(settings, lender, by=by, why=watch.why, figures=watch.figures, judged=watch.deployment)
    return watch


def _is_first_trial(settings: Settings, deployment: Deployment) -> bool:
    placed = [
        change for change in read_history(settings, deployment.source) if change.action in ("publish", "rollback")
    ]
    if not placed or placed[-1].action == "rollback":
        return False
    return not any(
        change.action == "rollback"
        and change.figures.get("left_version") == deployment.model_version
        and change.deployment.model_name == deployment.model_name
        for change in placed
    )


def _answers(
    settings: Settings, deployment: Deployment, previous: Deployment, promoted_at: datetime
) -> tuple[Answers, Answers]:
    parameters = [
        deployment.source,
        deployment.model_name,
        deployment.model_version,
        previous.model_version,
        promoted_at.replace(tzinfo=None),
        SLOW_MS,
        _BEFORE,
    ]
    try:
        with connect(settings) as con:
            rows = con.execute(_COUNTS, parameters).fetchall()
    except (NoLakeError, duckdb.CatalogException):  # no decision has reached the lake yet
        rows = []
    found = {is_new: Answers(*counts) for is_new, *counts in rows}
    return found.get(True, Answers()), found.get(False, Answers())


def _checks(since: Answers, before: Answers) -> tuple[Check, ...]:
    checks = [_check("errors", (since.n_failed, since.n_asked), (before.n_failed, before.n_asked), MOST_ERRORS)]
    if since.n_answered >= MIN_DECISIONS:
        slow = (since.n_slow, since.n_answered), (before.n_slow, before.n_answered)
        checks.append(_check(f"answers above {SLOW_MS:g} ms", *slow, MOST_SLOW))
    return tuple(checks)


def _check(name: str, since: tuple[int, int], before: tuple[int, int], limit: float) -> Check:
    """The excess of a share over that of the version before, which counts as 0 where it had too few decisions."""
    (n_bad, n), (n_bad_before, n_before) = since, before
    excess, variance = n_bad / n, _variance(n_bad, n)
    if n_before >= MIN_DECISIONS:
        excess -= n_bad_before / n_before
        variance += _variance(n_bad_before, n_before)
    # each look at one more decision could be the one that goes back
    width = half_width(variance, n, alpha=ALPHA / 2, tuned_for=4 * MIN_DECISIONS)
    return Check(name, excess, excess - width, excess + width, limit)


def _variance(n_bad: int, n: int) -> float:
    # smoothed by half of each: none bad among few does not prove a share of zero
    share = (n_bad + 0.5) / (n + 1)
    return share * (1 - share) / n
