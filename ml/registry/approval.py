"""Whether a version may be served: its gates, a person's approval, and overridden refusals.

Approvals are lines of a file of the home, so that they outlive MLflow's tags and are in backups; MLflow shows them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import msgspec

from ml.judging.gates import LEAKAGE, NEVER_OVERRIDDEN, SHADOW_ALLOWED
from ml.registry.deployment import deployment_turn, now, read_deployment, read_history
from ml.registry.registered_version import RegisteredVersion, get_version
from ml.registry.tracking import open_client
from warehouse.errors import ApprovalMissing, GateRefusal, NotFoundError, SettingError
from warehouse.files.json_lines import append_line, read_lines
from warehouse.settings import Settings
from warehouse.team import fresh

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
        """The reason in the deployment history of a version served by this approval."""
        return f"approved: {self.reason}" + (f" (overriding {', '.join(self.overridden)})" if self.overridden else "")

    def is_of(self, model_name: str, model_version: int) -> bool:
        """Whether it approves that version of that model."""
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

    ``source``: as in :meth:`~warehouse.settings.Settings.chosen_lender`. Raises NotFoundError for an unregistered
    version, SettingError without a reason or for a gate that did not refuse it, and GateRefusal for a refusal that is
    not or cannot be overridden.
    """
    found = get_version(settings, settings.chosen_lender(source), version)
    approval = _checked(found, reason, overrides, serve, by)
    with deployment_turn(settings, found.source):
        append_line(settings.approvals(found.source), asdict(approval))
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
    """Approve without MLflow; :func:`ml.rollout.promotion.promote_approved` acts on it. Also returns whether it is new.

    An approval that still stands, because its version is about to be served or is served, is not repeated. Raises as
    :func:`approve`.
    """
    approval = _checked(found, reason, overrides, serve, by)
    with deployment_turn(settings, found.source):
        standing = _standing(settings, found, serve=serve)
        if standing is not None and set(overrides) <= set(standing.overridden):
            return standing, False
        append_line(settings.approvals(found.source), asdict(approval))
    return approval, True


def tag_approval(settings: Settings, approval: Approval) -> None:
    """Show in MLflow who approved a version, why, and which gates they overrode."""
    client = open_client(settings)
    tags = {"approved_by": approval.by, "approved_at": approval.at, "approval_reason": approval.reason}
    for name, value in (tags | {"overridden": ", ".join(approval.overridden)}).items():
        client.set_model_version_tag(approval.model_name, str(approval.model_version), name, value)


def unserved_approval(settings: Settings, lender: str) -> Approval | None:
    """The lender's newest approval that is still valid, or None: a later promotion or rollback ends an approval."""
    newest = next((approval for approval in reversed(read_approvals(settings, lender)) if approval.serve), None)
    served = read_deployment(settings, lender)
    if newest is None or (served is not None and served.is_version(newest.model_name, newest.model_version)):
        return None
    in_service = [change.at for change in read_history(settings, lender) if change.action in ("publish", "rollback")]
    # both are ISO 8601 with milliseconds, in UTC; in the same millisecond the approval is the later one
    return newest if not in_service or newest.at >= in_service[-1] else None


def require_unserved(settings: Settings, approval: Approval) -> None:
    """Raise NotFoundError if a rollback or promotion has ended it; call it in a deployment turn."""
    if unserved_approval(settings, approval.source) != approval:
        raise NotFoundError(
            f"the approval of {approval.model_name} version {approval.model_version} is not to be followed any more: "
            "another version was approved or put in service meanwhile"
        )


def read_approvals(settings: Settings, lender: str) -> list[Approval]:
    """The approvals of a lender's versions, oldest first. Raises SettingError naming an invalid line."""
    fresh(settings)
    return read_lines(settings.approvals(lender), partial(msgspec.convert, type=Approval), what="approval")


def find_approval(settings: Settings, found: RegisteredVersion) -> Approval | None:
    """The latest approval of a version, or None."""
    approvals = reversed(read_approvals(settings, found.source))
    return next((approval for approval in approvals if approval.is_of(found.name, found.version)), None)


def require_passed(settings: Settings, found: RegisteredVersion, *, in_shadow: bool = False) -> None:
    """Raise GateRefusal, with each reason, for a version that was archived or finally refused.

    ``in_shadow``: for a trial in which no caller gets its answers, which some refusals allow.
    """
    _require_passed(found, find_approval(settings, found), in_shadow=in_shadow)


def require_approved(settings: Settings, found: RegisteredVersion) -> None:
    """Raise ApprovalMissing if a version needs a person's approval before it is served, and has none."""
    if settings.approval_required and find_approval(settings, found) is None:
        raise ApprovalMissing(
            f"{found.name} version {found.version} waits for approval (LOANLAKE_APPROVAL=required): "
            f"`loanlake model approve {found.version} --lender {found.source} --reason …` serves it"
        )


def standing_refusals(found: RegisteredVersion, approval: Approval | None) -> list[str]:
    """The gates that refused a version and that its approval does not or cannot override."""
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
    served, unserved = read_deployment(settings, found.source), unserved_approval(settings, found.source)
    if not serve or (served is not None and served.is_version(found.name, found.version)):
        return find_approval(settings, found)
    return unserved if unserved is not None and unserved.is_of(found.name, found.version) else None


def _require_passed(found: RegisteredVersion, approval: Approval | None, *, in_shadow: bool = False) -> None:
    if found.archived:
        raise GateRefusal(
            f"{found.name} version {found.version} was archived, so its training rows may be gone: train another "
            f"version, or take that back with `loanlake model unarchive {found.version} --lender {found.source}`"
        )
    standing = [gate for gate in standing_refusals(found, approval) if not (in_shadow and gate in SHADOW_ALLOWED)]
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
