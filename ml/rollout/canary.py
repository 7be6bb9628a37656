"""Moves of a canary: to the next share and finally to champion, or back, by the evidence of its step."""

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from ml.registry.deployment import (
    Challenger,
    Deployment,
    deployment_turn,
    now,
    read_deployment,
    require_challenger,
    serve,
)
from ml.rollout.canary_evidence import Evidence, collect_evidence
from ml.rollout.challenge import end_challenge
from ml.rollout.promotion import promote
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect
from warehouse.settings import Settings

Move = Literal["on", "back", "wait"]


@dataclass(frozen=True)
class Verdict:
    """The action for a canary's step, the reason, and the evidence."""

    canary: Challenger
    move: Move
    why: str
    evidence: Evidence


def judge_canary(settings: Settings, *, at: datetime | None = None) -> Verdict:
    """The action for the current canary ``at`` that time (now); raises NotFoundError if no canary runs."""
    served, canary = _running(settings)
    with closing(connect(settings)) as con:
        evidence = collect_evidence(con, served, canary)
    move, why = _conclude(canary, evidence, at or datetime.now(UTC))
    return Verdict(canary, move, why, evidence)


def move_canary(settings: Settings, *, by: str) -> Verdict:
    """Judge the canary, and move it on or back if its step requires it.

    After its last step it is promoted. The history keeps each move with its figures. Raises NotFoundError if no canary
    runs, or it has changed.
    """
    verdict = judge_canary(settings)
    if verdict.move == "back":
        figures = verdict.evidence.to_dict()
        end_challenge(settings, by=by, why=verdict.why, figures=figures, judged=verdict.canary)
    elif verdict.move == "on":
        _move_on(settings, verdict, by=by)
    return verdict


def _move_on(settings: Settings, verdict: Verdict, *, by: str) -> None:
    canary, figures = verdict.canary, verdict.evidence.to_dict()
    share = canary.plan.after(canary.share) if canary.plan and canary.share else None
    if share is None:
        version = canary.deployment
        # a promotion calls MLflow and builds for seconds; a person may end the trial in that time
        promote(
            settings,
            version.model_version,
            source=version.source,
            by=by,
            why=verdict.why,
            figures=figures,
            require=lambda current: require_challenger(current, canary),
        )
        return
    with deployment_turn(settings):
        current, _ = _running(settings)
        require_challenger(current, canary)
        moved = replace(canary, share=share, step_began_at=now())
        serve(settings, replace(current, challenger=moved), action="advance", by=by, why=verdict.why, figures=figures)


def _conclude(canary: Challenger, evidence: Evidence, at: datetime) -> tuple[Move, str]:
    plan = canary.plan
    if plan is None or canary.step_began_at is None:
        raise NotFoundError(f"no canary is running: {canary.name} is none")
    broken = [check for check in evidence.checks if check.is_broken]
    if broken:
        return "back", f"worse than it may be: {'; '.join(map(str, broken))}"
    champion, challenger = evidence.champion.n_asked, evidence.challenger.n_asked
    if not evidence.is_complete:
        return "wait", (
            f"too few requests: {champion:,} to the champion and {challenger:,} to the canary are in the lake since "
            f"the step began; {plan.min_decisions:,} each are needed, half of them answered"
        )
    open_checks = [check for check in evidence.checks if not check.is_kept]
    if open_checks:
        return "wait", f"not settled yet: {'; '.join(map(str, open_checks))}"
    remaining = datetime.fromisoformat(canary.step_began_at) + timedelta(minutes=plan.dwell_minutes) - at
    if remaining > timedelta(0):
        return "wait", f"all is well; the step lasts {remaining.total_seconds() / 60:.0f} minutes more"
    return "on", f"no worse than it may be, by {champion:,} and {challenger:,} requests: " + "; ".join(
        map(str, evidence.checks)
    )


def _running(settings: Settings) -> tuple[Deployment, Challenger]:
    served = read_deployment(settings)
    if served is None or served.challenger is None or served.challenger.mode != "canary":
        raise NotFoundError("no canary is running: `loanlake canary start VERSION` starts one")
    return served, served.challenger
