"""May this version answer anybody: what its gates said, what a person approved, and which refusals they overrode.

Approvals are lines of a file of the home, so that they outlive MLflow's tags and go with a backup; MLflow shows them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import msgspec

from ml.judging.gates import LEAKAGE, NEVER_OVERRIDDEN
from ml.registry.deployment import deployment_turn, now, read_deployment, read_history
from ml.registry.registered_version import RegisteredVersion, get_version
from ml.registry.tracking import open_client
from warehouse.errors import ApprovalMissing, GateRefusal, NotFoundError, SettingError
from warehouse.files.json_lines import append_line, read_lines
from warehouse.settings import Settings

_STATED = (
    ", or where its features are honest, say why in the lender's file (warehouse/lenders/) and run again: the gates "
    "then decide again"
)


@dataclass(frozen=True)
class Approval:
    """A person's approval of a version; ``overridden``: gates whose refusal is overridden; ``at``: ISO 8601, UTC.

    ``serve``: serve immediately. Otherwise a person rolls it out, usually by a canary.
    """

    source: str
    model_name: str
    model_version: int
    overridden: tuple[str, ...]
    reason: str
    by: str
    at: str
    serve: bool = True

    @property
    def why(self) -> str:
        """What the history of deployments says of a version that is served for it."""
        return f"approved: {self.reason}" + (f" (overriding {', '.join(self.overridden)})" if self.overridden else "")

    def is_of(self, model_name: str, model_version: int) -> bool:
        """Whether it is of that version of that model."""
        return (self.model_name, self.model_version) == (model_name, model_version)


def approve(
    settings: Settings,
    version: int,
    *,
    source: str | None = None,
    reason: str,
    overrides: Sequence[str] = (),
    serve: bool = True,
    by: str,
) -> Approval:
    """Store a person's approval of a registered version, and tag it in MLflow; the caller serves the version.

    ``source`` defaults to the active one. Raises NotFoundError for a version that is not registered, SettingError
    without a reason or for a gate that did not refuse it, and GateRefusal if a refusal stands: one that is not
    overridden, or never can be.
    """
    found = get_version(settings, source or settings.active_source(), version)
    approval = _checked(found, reason, overrides, serve, by)
    with deployment_turn(settings):
        append_line(settings.approvals, asdict(approval))
    tag_approval(settings, approval)
    return approval


def approve_once(
    settings: Settings,
    found: RegisteredVersion,
    *,
    reason: str,
    overrides: Sequence[str] = (),
    serve: bool = True,
    by: str,
) -> tuple[Approval, bool]:
    """Approve without MLflow; :func:`ml.rollout.promotion.promote_approved` acts on it. Also whether it is new.

    An approval that still stands, because its version is about to be served or is served, is not given twice. Raises
    as :func:`approve`.
    """
    approval = _checked(found, reason, overrides, serve, by)
    with deployment_turn(settings):
        standing = _standing(settings, found, serve=serve)
        if standing is not None and set(overrides) <= set(standing.overridden):
            return standing, False
        append_line(settings.approvals, asdict(approval))
    return approval, True


def tag_approval(settings: Settings, approval: Approval) -> None:
    """Show in MLflow who approved a version, why, and which gates they overrode."""
    client = open_client(settings)
    tags = {"approved_by": approval.by, "approved_at": approval.at, "approval_reason": approval.reason}
    for name, value in (tags | {"overridden": ", ".join(approval.overridden)}).items():
        client.set_model_version_tag(approval.model_name, str(approval.model_version), name, value)


def unserved_approval(settings: Settings) -> Approval | None:
    """The newest approval that is still valid: no version was put in service since. None if there is none.

    One that is older than a promotion or a rollback is no reason to undo it.
    """
    newest = next((approval for approval in reversed(read_approvals(settings)) if approval.serve), None)
    served = read_deployment(settings)
    if newest is None or (served is not None and served.is_version(newest.model_name, newest.model_version)):
        return None
    in_service = [change.at for change in read_history(settings) if change.action in ("publish", "rollback")]
    # both are ISO 8601 with milliseconds, in UTC; of the same millisecond an approval is the later word
    return newest if not in_service or newest.at >= in_service[-1] else None


def require_unserved(settings: Settings, approval: Approval) -> None:
    """Raise NotFoundError if it is not to be followed any more; holds only in a deployment turn.

    Reading the version took seconds, and what a person rolled back meanwhile is not to be undone.
    """
    if unserved_approval(settings) != approval:
        raise NotFoundError(
            f"the approval of {approval.model_name} version {approval.model_version} is not to be followed any more: "
            "another version was approved or put in service meanwhile"
        )


def read_approvals(settings: Settings) -> list[Approval]:
    """Every approval, oldest first. Raises SettingError naming the line that is none."""
    return read_lines(settings.approvals, partial(msgspec.convert, type=Approval), what="approval")


def find_approval(settings: Settings, model_name: str, model_version: int) -> Approval | None:
    """The latest approval of a version, or None."""
    return next(
        (approval for approval in reversed(read_approvals(settings)) if approval.is_of(model_name, model_version)),
        None,
    )


def require_passed(settings: Settings, found: RegisteredVersion) -> None:
    """Raise GateRefusal, with each reason, for a version that was archived or that a gate refused for good."""
    _require_passed(found, find_approval(settings, found.name, found.version))


def require_approved(settings: Settings, found: RegisteredVersion) -> None:
    """Raise ApprovalMissing if a person must approve a version before it answers callers, and none has."""
    if settings.approval_required and find_approval(settings, found.name, found.version) is None:
        raise ApprovalMissing(
            f"{found.name} version {found.version} waits for approval (LOANLAKE_APPROVAL=required): "
            f"`loanlake model approve {found.version} --source {found.source} --reason …` serves it"
        )


def standing_refusals(found: RegisteredVersion, approval: Approval | None) -> list[str]:
    """The gates that refused a version and that its approval does not override, or could not."""
    overridden = set(approval.overridden if approval else ()) - NEVER_OVERRIDDEN
    return [gate for gate in found.refused_by if gate not in overridden]


def _checked(found: RegisteredVersion, reason: str, overrides: Sequence[str], serve: bool, by: str) -> Approval:
    if not reason.strip():
        raise SettingError("an approval needs a reason, which is kept with it: found none")
    needless = [gate for gate in overrides if gate not in found.refused_by]
    if needless:
        refused = ", ".join(found.refused_by) or "none"
        raise SettingError(
            f"only a gate that refused {found.name} version {found.version} can be overridden: found "
            f"{', '.join(needless)}; refused by {refused}"
        )
    approval = Approval(found.source, found.name, found.version, tuple(overrides), reason.strip(), by, now(), serve)
    _require_passed(found, approval)
    return approval


def _standing(settings: Settings, found: RegisteredVersion, *, serve: bool) -> Approval | None:
    served, unserved = read_deployment(settings), unserved_approval(settings)
    if not serve or (served is not None and served.is_version(found.name, found.version)):
        return find_approval(settings, found.name, found.version)
    return unserved if unserved is not None and unserved.is_of(found.name, found.version) else None


def _require_passed(found: RegisteredVersion, approval: Approval | None) -> None:
    if found.archived:
        raise GateRefusal(
            f"{found.name} version {found.version} was archived, so its training rows may be gone: train another "
            f"version, or take that back with `loanlake model unarchive {found.version} --source {found.source}`"
        )
    standing = standing_refusals(found, approval)
    if not standing:
        return
    reasons = "; ".join(
        message.rstrip(".")
        for gate, message in zip(found.refused_by, found.gate_messages, strict=False)
        if gate in standing
    )
    never = [gate for gate in standing if gate in NEVER_OVERRIDDEN]
    way = (
        f"{', '.join(never)} cannot be overridden: train another version{_STATED if set(never) <= LEAKAGE else ''}"
        if never
        else "Train another version, take one whose gates passed, or override by name with `loanlake model approve`"
    )
    raise GateRefusal(
        f"{found.name} version {found.version} was refused by {', '.join(standing)}: "
        f"{reasons or 'no message was recorded'}. {way}"
    )
