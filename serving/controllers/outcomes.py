"""``/v1/outcomes``: outcomes of applications."""

from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from serving.access.guards import BY_LENDER, SCOPE, caller
from serving.controllers.openapi import (
    REPORT_OUTCOME,
    LenderInPath,
    by_lender,
    key_or_token,
    operation,
    operation_of,
    problems,
)
from serving.decisions.outcome_report import OutcomeService
from serving.http.json_body import read_json
from serving.http.problem_examples import OUTCOME
from serving.http.wire import OutcomeReceipt

ReportKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Makes this report different from the same one without a key. Repeating a report needs no key.",
    ),
]


class OutcomesController(Controller):
    """Accept outcome reports."""

    path = "/v1"
    tags = ("Outcomes",)
    opt = {SCOPE: "outcomes", BY_LENDER: True}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("outcomes")

    @post(
        by_lender("outcomes"),
        status_code=200,
        summary="Report an outcome",
        operation_id=operation_of(REPORT_OUTCOME),
        operation_class=operation("OutcomeReport"),
        responses=problems(400, 404, 408, 413, 415, 503, scope="outcomes", examples=OUTCOME),
    )
    async def report(
        self,
        request: Request[Any, Any, Any],
        outcomes: NamedDependency[OutcomeService],
        lender: LenderInPath = None,
        idempotency_key: ReportKey = None,
    ) -> OutcomeReceipt:
        """Report the outcome of an application. Repeating a report changes nothing.

        To undo a correction, send the first report again with an Idempotency-Key, which makes it a new report.
        """
        return await outcomes.report(lender, await read_json(request), caller(request), idempotency_key)
