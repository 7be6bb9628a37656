"""Which version of a lender is served: published, promoted with MLflow's alias, rolled back, archived."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ml.registry.approval import require_approved, require_passed, require_unserved, tag_approval, unserved_approval
from ml.registry.deployment import (
    Deployment,
    deployment_turn,
    now,
    read_deployment,
    replace_deployment,
    serve,
)
from ml.registry.registered_version import (
    RegisteredVersion,
    deployment_of,
    get_version,
    load_built,
    load_registered,
    record_version,
)
from warehouse.errors import GateRefusal, NotFoundError
from warehouse.settings import Settings

#: Deployments kept below the current one; older ones stay in the history and can be promoted again.
_ROLLBACKS = 20


def publish(
    settings: Settings,
    version: RegisteredVersion,
    *,
    by: str,
    why: str = "",
    figures: Mapping[str, Any] | None = None,
    require: Callable[[Deployment | None], None] = lambda _: None,
) -> Deployment:
    """Serve a registered version from now on; return the deployment. Does nothing if it is already served.

    ``require`` gets what is served, in the deployment's turn, and raises if the reason no longer holds. Raises
    BundleError if its bundle is not the registered one.
    """
    placed = deployment_of(settings, version, by=by)
    with deployment_turn(settings, version.source):
        current = read_deployment(settings, version.source)
        if current is not None and current.is_version(version.name, version.version):
            return current
        require(current)
        deployment = replace(placed, previous=_shortened(current, _ROLLBACKS))
        serve(settings, deployment, action="publish", by=by, why=why, figures=figures)
    return deployment


def promote(
    settings: Settings,
    version: int,
    *,
    source: str | None = None,
    by: str,
    why: str = "",
    figures: Mapping[str, Any] | None = None,
    require: Callable[[Deployment | None], None] = lambda _: None,
) -> Deployment:
    """Serve a registered version and make it MLflow's champion; works while the API runs.

    ``source``: as in :meth:`~warehouse.settings.Settings.chosen_lender`; ``why`` and ``figures`` go into the history;
    ``require`` as in :func:`publish`. Raises NotFoundError if the version is not registered, GateRefusal with each
    reason, ApprovalMissing if it needs one, BundleError for a changed bundle, and ContractError if the dbt project no
    longer builds its features.
    """
    from ml.registry.registry import set_champion

    found = get_version(settings, settings.chosen_lender(source), version)
    require_passed(settings, found)
    require_approved(settings, found)
    load_built(settings, found)
    deployment = publish(settings, found, by=by, why=why, figures=figures, require=require)
    set_champion(settings, found.name, version)
    return deployment


def promote_approved(settings: Settings, lender: str) -> Deployment | None:
    """Serve the lender's version approved over HTTP, if still due, and show it in MLflow; raises as :func:`promote`."""
    approval = unserved_approval(settings, lender)
    if approval is None:
        return None
    deployment = promote(
        settings,
        approval.model_version,
        source=approval.source,
        by=approval.by,
        why=approval.why,
        require=lambda _: require_unserved(settings, approval),
    )
    tag_approval(settings, approval)
    return deployment


def rollback(
    settings: Settings,
    lender: str,
    *,
    by: str,
    why: str = "",
    figures: Mapping[str, Any] | None = None,
    judged: Deployment | None = None,
) -> Deployment:
    """Serve the lender's previous deployment again, with its features, and move MLflow's alias back.

    Ends a challenge; ``why`` and ``figures`` go into the history. ``judged``: the only deployment to leave. Rolling
    back twice goes back two deployments. Raises NotFoundError if there is no previous one, or another than ``judged``
    is served.
    """
    from ml.registry.registry import set_champion

    with deployment_turn(settings, lender):
        current = read_deployment(settings, lender)
        if current is None or current.previous is None:
            served = (
                f"nothing of {lender}"
                if current is None
                else f"{current.model_name} version {current.model_version}, the first"
            )
            raise NotFoundError(f"there is no earlier deployment to return to: now served is {served}")
        if judged is not None and (current.published_at, current.model_version) != (
            judged.published_at,
            judged.model_version,
        ):
            raise NotFoundError(
                f"{judged.model_name} version {judged.model_version} was judged, and version {current.model_version}, "
                f"published at {current.published_at}, is served now: nothing was rolled back"
            )
        # never serve an unreadable bundle, or another than the registered one
        load_registered(settings, lender, current.previous.model_version)
        deployment = replace(current.previous, published_at=now(), published_by=by)
        serve(settings, deployment, action="rollback", by=by, why=why, figures=figures)
    # last: an unreachable registry must not keep a bad model in service
    set_champion(settings, deployment.model_name, deployment.model_version)
    return deployment


def archive(settings: Settings, version: int, *, source: str | None = None, undo: bool = False) -> str:
    """Archive a version: rollbacks skip it, and its training snapshot may expire. Returns the model's name.

    Its bundle stays for replays; ``undo`` makes it servable again. Raises GateRefusal for a version that is served
    or on trial.
    """
    from ml.registry.registry import tag_archived

    found = get_version(settings, settings.chosen_lender(source), version)
    changed = replace(found, archived=not undo)
    if undo:
        record_version(settings, changed)
    else:
        with deployment_turn(settings, found.source):
            current = read_deployment(settings, found.source)
            _require_out_of_service(found, current)
            record_version(settings, changed)
            if current is not None:
                replace_deployment(settings, _without(current, found.name, version))
    tag_archived(settings, changed)
    return found.name


def _require_out_of_service(found: RegisteredVersion, current: Deployment | None) -> None:
    name = f"{found.name} version {found.version}"
    if current is not None and current.is_version(found.name, found.version):
        raise GateRefusal(f"{name} is served: promote another version first")
    challenger = current.challenger if current is not None else None
    if challenger is not None and challenger.deployment.is_version(found.name, found.version):
        raise GateRefusal(f"{name} is on trial: `loanlake challenge end` first")


def _without(deployment: Deployment, model_name: str, model_version: int) -> Deployment:
    """The chain without a version, except its first deployment."""
    below = deployment.previous
    while below is not None and below.is_version(model_name, model_version):
        below = below.previous
    return replace(deployment, previous=_without(below, model_name, model_version) if below else None)


def _shortened(deployment: Deployment | None, length: int) -> Deployment | None:
    if deployment is None or length == 0:
        return None
    # a rollback does not restart a challenge
    return replace(deployment, challenger=None, previous=_shortened(deployment.previous, length - 1))
