"""Outcome reports: how an application ended; a repeated report has no further effect."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import msgspec

from serving.access.caller import Caller
from serving.decisions.reader import DecisionReader
from serving.deployed.deployment_watch import DeploymentWatch
from serving.deployed.score_request import APPLICATION_ID, TIME_RULE, Time, since_1900
from serving.http.body_schema import BodySchema, Field, invalid
from serving.http.clock import future_violation, utc_now
from serving.http.wire import OutcomeReceipt
from serving.scoring.outbox import Outbox
from warehouse.decision_log import ReportedOutcome

_NAMESPACE = uuid.UUID("0f6c2c5e-7c38-5b0a-8a43-2b9f3c9d9a51")

OUTCOME_REPORT = BodySchema(
    "OutcomeReport",
    (
        replace(APPLICATION_ID, description="The application id, as sent with the score request."),
        Field(
            name="is_default",
            type=bool,
            rule="true or false",
            description="Whether the loan defaulted, by the lender's definition.",
            example=False,
        ),
        Field(
            name="outcome_at",
            type=Time,
            rule=f"{TIME_RULE}, not in the future",
            reads=since_1900,
            description="Time of the default or of the repayment.",
            example="2026-06-30T00:00:00Z",
        ),
        Field(
            name="loss_amount",
            # the limit of core.int_outcomes: a greater value would fail the build of a lender whose staging reads
            # reports
            type=Annotated[float, msgspec.Meta(ge=0, le=1e9)],
            rule="a number from 0 to 1e9",
            required=False,
            description="Amount lost, in the currency of the loan.",
            example=0,
        ),
    ),
)


def outcome_id(source: str, report: Mapping[str, Any], key: tuple[str, str] | None = None) -> str:
    """A stable id of a report, whoever sends it.

    With a ``key`` (caller's id and their own key), the id of their reports with this key alone.
    """
    loss = report["loss_amount"]
    content = [source, report["application_id"], report["is_default"], report["outcome_at"].isoformat(), loss]
    content += key or ()
    return str(uuid.uuid5(_NAMESPACE, msgspec.json.encode(content).decode()))


class OutcomeService:
    """Keeps reports in the decision log, which feeds ``serving.reported_outcomes``."""

    def __init__(self, *, deployments: DeploymentWatch, outbox: Outbox, decisions: DecisionReader):
        self._deployments = deployments
        self._outbox = outbox
        self._decisions = decisions

    async def report(self, body: Any, caller: Caller, idempotency_key: str | None = None) -> OutcomeReceipt:
        """Store a report; raises InvalidRequest, or Unavailable if it could not be stored.

        Raises UnknownApplication if callers see only their own decisions, and this one has none about it.
        """
        report = OUTCOME_REPORT.validate(body)
        now = utc_now()
        violation = future_violation("outcome_at", report["outcome_at"], now)
        if violation is not None:
            raise invalid((violation,))
        await self._decisions.require_own(report["application_id"], caller)
        key = (caller.caller_id, idempotency_key) if idempotency_key is not None else None
        source = self._deployments.served().champion.deployment.source
        outcome = ReportedOutcome(
            outcome_id=outcome_id(source, report, key),
            source=source,
            application_id=report["application_id"],
            is_default=report["is_default"],
            outcome_at=report["outcome_at"],
            known_at=now,
            loss_amount=report["loss_amount"],
            caller_id=caller.caller_id,
            caller_name=caller.name,
        )
        await self._outbox.add(outcome)
        return OutcomeReceipt(outcome_id=outcome.outcome_id, application_id=outcome.application_id)
