"""``/v1/decisions``: logged decisions. ``/v1/outcomes``: outcomes of their applications."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, QueryParameter

from serving.access.guards import SCOPE, caller
from serving.controllers.openapi import (
    LIST_DECISIONS,
    READ_DECISION,
    REPORT_OUTCOME,
    TO_OUTCOME,
    Cursor,
    Limit,
    key_or_token,
    operation,
    problems,
)
from serving.decisions.outcome_report import OutcomeService
from serving.decisions.reader import DecisionReader
from serving.http.json_body import read_json
from serving.http.problem_examples import DECISION, LISTED, OUTCOME
from serving.http.wire import DecisionList, LoggedDecision, OutcomeReceipt
from serving.scoring.decide import decision_summary, logged_decision
from serving.telemetry.request_trace import note_decision

ApplicationId = Annotated[
    str | None,
    QueryParameter(description="Only decisions on the application with this id.", min_length=1, max_length=100),
]
BorrowerId = Annotated[
    str | None,
    QueryParameter(description="Only decisions on this borrower's applications.", min_length=1, max_length=100),
]


ReportKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Makes this report different from the same one without a key. Repeating a report needs no key.",
    ),
]


class DecisionsController(Controller):
    """Read the decision log."""

    path = "/v1/decisions"
    tags = ("Decisions",)
    opt = {SCOPE: "decisions"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("decisions")

    @get(
        summary="List decisions",
        operation_id=LIST_DECISIONS,
        responses=problems(400, 503, scope="decisions", examples=LISTED),
    )
    async def list_decisions(
        self,
        request: Request[Any, Any, Any],
        decisions: NamedDependency[DecisionReader],
        *,
        application_id: ApplicationId = None,
        borrower_id: BorrowerId = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> DecisionList:
        """Short form of decisions, newest first: all, or those on one application or borrower.

        They come from the decision log and the lake, and include past applications scored in a backfill.
        `next_cursor` leads to the next ones.
        """
        found, next_cursor = await decisions.page(
            caller(request), application_id=application_id, borrower_id=borrower_id, cursor=cursor, limit=limit
        )
        return DecisionList(tuple(decision_summary(each) for each in found), next_cursor)

    @get(
        "/{decision_id:str}",
        summary="Get a decision",
        operation_id=READ_DECISION,
        operation_class=operation(leads_to={"outcome": TO_OUTCOME}),
        responses=problems(404, 503, scope="decisions", examples=DECISION),
    )
    async def decision(
        self, request: Request[Any, Any, Any], decision_id: FromPath[str], decisions: NamedDependency[DecisionReader]
    ) -> LoggedDecision:
        """One decision with its inputs, features, score, reasons and model."""
        found = await decisions.find(decision_id, caller(request))
        note_decision(request.scope, found.decision_id)
        return logged_decision(found)


class OutcomesController(Controller):
    """Accept outcome reports."""

    path = "/v1/outcomes"
    tags = ("Outcomes",)
    opt = {SCOPE: "outcomes"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("outcomes")

    @post(
        status_code=200,
        summary="Report an outcome",
        operation_id=REPORT_OUTCOME,
        operation_class=operation("OutcomeReport"),
        responses=problems(400, 404, 408, 413, 415, 503, scope="outcomes", examples=OUTCOME),
    )
    async def report(
        self,
        request: Request[Any, Any, Any],
        outcomes: NamedDependency[OutcomeService],
        idempotency_key: ReportKey = None,
    ) -> OutcomeReceipt:
        """Report the outcome of an application. Repeating a report changes nothing.

        To undo a correction, send the first report again with an Idempotency-Key, which makes it a new report.
        """
        return await outcomes.report(await read_json(request), caller(request), idempotency_key)
