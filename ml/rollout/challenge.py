"""A version tried beside one champion, in shadow or answering a share of the applicants, until that changes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ml.registry.approval import require_approved, require_passed
from ml.registry.deployment import (
    CanaryPlan,
    Challenger,
    Deployment,
    deployment_turn,
    now,
    read_deployment,
    require_challenger,
    serve,
)
from ml.registry.registered_version import RegisteredVersion, deployment_of, get_version, load_built, load_registered
from warehouse.errors import NotFoundError, SettingError
from warehouse.settings import Settings


def challenge(
    settings: Settings,
    version: int,
    *,
    source: str,
    share: float | None = None,
    plan: CanaryPlan | None = None,
    by: str,
    why: str = "",
) -> Deployment:
    """Try a registered version beside its source's champion, replacing any other challenger. Works while the API runs.

    Without ``share`` it scores in shadow; with one, it answers that share of the applicants; with a ``plan`` it is a
    canary on the first step. It becomes MLflow's challenger. ``why`` goes into the history. A running challenge is
    unchanged. Raises NotFoundError if nothing is served or the version is not registered, GateRefusal if its gates
    refused it (in shadow, estimated reasons do not), ApprovalMissing if it needs one to answer, BundleError for a
    changed bundle, and SettingError for the champion itself.
    """
    from ml.registry.registry import set_challenger

    champion = read_deployment(settings, source)
    if champion is None:
        raise NotFoundError(
            f"a challenger is tried beside a champion, and no model of {source} is served: promote a version first"
        )
    found = get_version(settings, source, version)
    in_shadow = share is None and plan is None  # there it answers no caller
    require_passed(settings, found, in_shadow=in_shadow)
    if not in_shadow:
        require_approved(settings, found)
    load_built(settings, found)
    deployment = start_challenge(settings, found, against=champion, share=share, plan=plan, by=by, why=why)
    set_challenger(settings, found.name, version)
    return deployment


def start_challenge(
    settings: Settings,
    version: RegisteredVersion,
    *,
    against: Deployment,
    share: float | None,
    plan: CanaryPlan | None = None,
    by: str,
    why: str = "",
) -> Deployment:
    """:func:`challenge` without gates, approvals and MLflow; also raises if the champion has changed."""
    if against.is_version(version.name, version.version):
        raise SettingError(
            f"a challenger must be another version than the champion: found {version.name} version "
            f"{version.version}, which is served"
        )
    placed = deployment_of(settings, version, by=by)
    if plan is not None:
        challenger = Challenger("canary", plan.steps[0], placed, plan, now())
    else:
        challenger = Challenger("shadow" if share is None else "ab", share, placed)
    with deployment_turn(settings, version.source):
        current = read_deployment(settings, version.source)
        if current is None or not current.is_version(against.model_name, against.model_version):
            raise NotFoundError(
                f"the challenge was to be against {against.model_name} version {against.model_version}, which is no "
                "longer served: check `loanlake status` and repeat the command"
            )
        if current.challenger is not None and _is_same(current.challenger, challenger):
            return current
        deployment = replace(current, challenger=challenger)
        serve(settings, deployment, action="challenge", by=by, why=why)
    return deployment


def _is_same(running: Challenger, asked: Challenger) -> bool:
    """Whether the requested challenge already runs, on any step of its plan."""
    of_version = running.deployment.is_version(asked.deployment.model_name, asked.deployment.model_version)
    same_share = running.share == asked.share or running.mode == "canary"
    return of_version and same_share and (running.mode, running.plan) == (asked.mode, asked.plan)


def end_challenge(
    settings: Settings,
    lender: str,
    *,
    by: str,
    why: str = "",
    figures: Mapping[str, Any] | None = None,
    judged: Challenger | None = None,
) -> Deployment:
    """Let the lender's champion answer alone again; decisions stay. Raises NotFoundError if no challenge runs.

    ``judged``: the only challenger to end; NotFoundError if another one runs now.
    """
    from ml.registry.registry import drop_challenger

    with deployment_turn(settings, lender):
        current = read_deployment(settings, lender)
        if current is None or current.challenger is None:
            raise NotFoundError(f"no challenge of {lender} is running: `loanlake status` shows what is served")
        if judged is not None:
            require_challenger(current, judged)
        ended = current.challenger.deployment
        deployment = replace(current, challenger=None)
        serve(settings, deployment, action="end_challenge", by=by, why=why, figures=figures)
    # last: an unreachable registry must not keep a bad model answering
    drop_challenger(settings, ended.model_name, ended.model_version)
    return deployment


def needed_by_challenger(settings: Settings, deployment: Deployment) -> tuple[str, ...]:
    """Request inputs that the challenger requires and the champion does not."""
    if deployment.challenger is None:
        return ()
    champion, challenger = (
        {
            column.name
            for column in load_registered(settings, each.source, each.model_version).contract.inputs_of("request")
            if column.required
        }
        for each in (deployment, deployment.challenger.deployment)
    )
    return tuple(sorted(challenger - champion))
