"""May this version answer anybody: what its gates said, what a person approved, and which refusals they overrode.

Approvals are lines of a file of the home, so that they outlive MLflow's tags and go with a backup; MLflow shows them.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ml.deployment import deployment_turn, now
from ml.gates import NEVER_OVERRIDDEN
from warehouse.errors import ApprovalMissing, GateRefusal, SettingError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.registry import RegisteredVersion


@dataclass(frozen=True)
class Approval:
    """A person's word for a version; ``overridden``: gates that refused it and do not count; ``at``: ISO 8601, UTC."""

    source: str
    model_name: str
    model_version: int
    overridden: tuple[str, ...]
    reason: str
    by: str
    at: str


def approve(
    settings: Settings,
    version: int,
    *,
    source: str | None = None,
    reason: str,
    overrides: Sequence[str] = (),
    by: str,
) -> Approval:
    """Keep that a person approved a registered version, and tag it in MLflow; serves nothing.

    ``source`` defaults to the active one. Raises NotFoundError for a version that is not registered, SettingError
    without a reason or for a gate that did not refuse it, and GateRefusal where a refusal stands: one that is not
    overridden, or never can be.
    """
    from ml.registry import get_version, tag_approval

    if not reason.strip():
        raise SettingError("an approval needs a reason, which is kept with it: found none")
    found = get_version(settings, source or settings.active_source(), version)
    needless = [gate for gate in overrides if gate not in found.refused_by]
    if needless:
        refused = ", ".join(found.refused_by) or "none"
        raise SettingError(
            f"only a gate that refused {found.name} version {version} can be overridden: found "
            f"{', '.join(needless)}; refused by {refused}"
        )
    approval = Approval(found.source, found.name, version, tuple(overrides), reason.strip(), by, now())
    _require_passed(found, approval)
    with deployment_turn(settings), settings.approvals.open("a") as file:
        file.write(json.dumps(asdict(approval)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    tag_approval(settings, approval)
    return approval


def read_approvals(settings: Settings) -> list[Approval]:
    """Every approval, oldest first."""
    if not settings.approvals.exists():
        return []
    entries = [json.loads(line) for line in settings.approvals.read_text().splitlines()]
    return [Approval(**{**entry, "overridden": tuple(entry["overridden"])}) for entry in entries]


def find_approval(settings: Settings, model_name: str, model_version: int) -> Approval | None:
    """The latest approval of a version, or None."""
    return next(
        (
            approval
            for approval in reversed(read_approvals(settings))
            if (approval.model_name, approval.model_version) == (model_name, model_version)
        ),
        None,
    )


def require_passed(settings: Settings, found: "RegisteredVersion") -> None:
    """Raise GateRefusal, with each reason, for a version that was archived or that a gate refused for good."""
    _require_passed(found, find_approval(settings, found.name, found.version))


def require_approved(settings: Settings, found: "RegisteredVersion") -> None:
    """Raise ApprovalMissing where a person must approve a version before it answers anybody, and none has."""
    if settings.approval_required and find_approval(settings, found.name, found.version) is None:
        raise ApprovalMissing(
            f"{found.name} version {found.version} waits for approval (LOANLAKE_APPROVAL=required): "
            f"`loanlake approve {found.version} --source {found.source} --reason …` serves it"
        )


def _require_passed(found: "RegisteredVersion", approval: Approval | None) -> None:
    if found.archived:
        raise GateRefusal(
            f"{found.name} version {found.version} was archived, so its training rows may be gone: train another "
            "version, or take the tag `archived` from it in MLflow"
        )
    overridden = set(approval.overridden if approval else ()) - NEVER_OVERRIDDEN
    standing = [gate for gate in found.refused_by if gate not in overridden]
    if not standing:
        return
    reasons = "; ".join(
        message.rstrip(".")
        for gate, message in zip(found.refused_by, found.gate_messages, strict=False)
        if gate in standing
    )
    never = [gate for gate in standing if gate in NEVER_OVERRIDDEN]
    way = (
        f"{', '.join(never)} cannot be overridden: train another version"
        if never
        else "Train another version, take one whose gates passed, or override by name with `loanlake approve`"
    )
    raise GateRefusal(
        f"{found.name} version {found.version} was refused by {', '.join(standing)}: "
        f"{reasons or 'no message was recorded'}. {way}"
    )
