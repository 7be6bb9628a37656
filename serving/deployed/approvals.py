"""Approvals over HTTP: versions that wait for a person, and stored approvals; Dagster serves the versions."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ml.decisions.problems import Violation
from ml.judging.gates import NEVER_OVERRIDDEN
from ml.registry.approval import Approval, approve_once
from ml.registry.registered_version import RegisteredVersion
from ml.registry.version_states import StateWord, VersionState, version_states
from serving.http.body_schema import BodySchema, Field, invalid
from serving.http.problems import NotApprovable, Unavailable, UnknownSource, UnknownVersion
from serving.http.wire import ApprovalReceipt, Gate, KeptApproval, ModelVersions, VersionOnItsWay
from warehouse.errors import GateRefusal, LoanlakeError
from warehouse.settings import Settings

_MOST_GATES = 50
_Reason = Annotated[
    str, msgspec.Meta(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
_Gates = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=100)]], msgspec.Meta(max_length=_MOST_GATES)
]

APPROVAL_REQUEST = BodySchema(
    "ApprovalRequest",
    (
        Field(
            name="reason",
            type=_Reason,
            rule="a text of at most 1,000 characters, not blank, in one line",
            description="Why. Stored with the approval and in the history of deployments.",
            example="Reviewed with the committee, minutes 2026-11",
        ),
        Field(
            name="override",
            type=_Gates,
            rule=f"a list of at most {_MOST_GATES} names of gates",
            required=False,
            description="Gates whose refusal is overridden. Parity and leakage cannot be overridden.",
            example=["brier_beats_base_rate"],
        ),
        Field(
            name="serve",
            type=bool,
            rule="true or false",
            required=False,
            description="Serve immediately (the default), or approve without serving.",
            example=True,
        ),
    ),
)
_WHAT_FOLLOWS = "Dagster will serve the version, usually within a minute; GET /v1/models shows when it does"
_TO_ROLL_OUT = (
    "It may be served: `loanlake canary start {0} --reason …` rolls it out, `loanlake model promote {0} --reason …` "
    "serves it immediately"
)


class ApprovalService:
    """Reads and writes files of the home, in a thread; never for a score."""

    def __init__(self, settings: Settings):
        self._settings = settings

    async def versions(self, source: str | None) -> ModelVersions:
        """Every registered version of a source's model, newest first; raises UnknownSource and Unavailable."""
        states = await asyncio.to_thread(self._states, source)
        if source is not None and not states:
            raise UnknownSource(f"No model of the source {source[:100]!r} is registered")
        return ModelVersions(tuple(_described(each) for each in reversed(states)))

    async def approve(self, version: int, body: Any, *, source: str | None, by: str) -> tuple[ApprovalReceipt, bool]:
        """Store a person's approval, and say whether it is new; Dagster checks the gates again and serves the version.

        Raises InvalidRequest, UnknownVersion, NotApprovable if a refusal stands, and Unavailable if it could not be
        stored.
        """
        request = APPROVAL_REQUEST.validate(body)
        return await asyncio.to_thread(self._approve, version, request, source, by)

    def _approve(
        self, number: int, request: Mapping[str, Any], source: str | None, by: str
    ) -> tuple[ApprovalReceipt, bool]:
        found = self._find(number, source)
        overrides, serve = tuple(dict.fromkeys(request["override"] or ())), request["serve"] is not False
        _require_refusals(found, overrides)
        try:
            approval, is_new = approve_once(
                self._settings, found, reason=request["reason"], overrides=overrides, serve=serve, by=by
            )
        except GateRefusal as refusal:
            raise NotApprovable(str(refusal)) from None
        except (LoanlakeError, OSError) as error:
            raise Unavailable(f"The approval could not be stored and was not given: {error}") from error
        [now] = [each for each in self._states(found.source) if each.version.version == number]
        receipt = ApprovalReceipt(
            model=found.name, version=number, state=now.state, approval=_kept(approval), next=_next(now.state, number)
        )
        return receipt, is_new

    def _find(self, number: int, source: str | None) -> RegisteredVersion:
        known = [each.version for each in self._states(source)]
        for version in known:
            if version.version == number:
                return version
        numbers = ", ".join(str(version.version) for version in known) or "none"
        raise UnknownVersion(f"No version {number} of a model of this source is registered; registered: {numbers}")

    def _states(self, source: str | None) -> list[VersionState]:
        try:
            source = source or self._settings.active_source()
            return [each for each in version_states(self._settings) if each.version.source == source]
        except (LoanlakeError, OSError, msgspec.MsgspecError) as error:
            raise Unavailable(f"Registered and approved versions cannot be read: {error}") from error


def _require_refusals(found: RegisteredVersion, overrides: Sequence[str]) -> None:
    """Raise InvalidRequest for each override of a gate that did not refuse."""
    allowed = ", ".join(found.refused_by) or "none"
    needless = [gate for gate in overrides if gate not in found.refused_by]
    if needless:
        rule = f"must name gates that refused version {found.version} ({allowed})"
        raise invalid(tuple(Violation(field="override", rule=rule, found=gate) for gate in needless))


def _described(each: VersionState) -> VersionOnItsWay:
    version = each.version
    refused = [
        Gate(gate, passed=False, message=message, can_be_overridden=gate not in NEVER_OVERRIDDEN)
        for gate, message in zip(version.refused_by, version.gate_messages, strict=True)
    ]
    return VersionOnItsWay(
        model=version.name,
        version=version.version,
        source=version.source,
        feature_version=version.feature_version,
        registered_at=version.created_at,
        state=each.state,
        gates=(*refused, *(Gate(gate, passed=True) for gate in version.passed_gates)),
        approval=_kept(each.approval) if each.approval is not None else None,
    )


def _next(state: StateWord, number: int) -> str:
    if state == "approved":
        return _WHAT_FOLLOWS
    return _TO_ROLL_OUT.format(number) if state in ("waiting", "replaced") else ""


def _kept(approval: Approval) -> KeptApproval:
    return KeptApproval(
        reason=approval.reason, overridden=approval.overridden, by=approval.by, at=approval.at, serve=approval.serve
    )
