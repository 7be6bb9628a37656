"""``/v1/outcomes``: how applications ended."""

from typing import Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency

from serving.access import SCOPE
from serving.json_body import read_json
from serving.openapi import REPORT_OUTCOME, key_or_token, problems, takes
from serving.outcome_report import OutcomeService
from serving.wire import OutcomeReceipt


class OutcomesController(Controller):
    """Take outcome reports."""

    path = "/v1/outcomes"
    tags = ("Outcomes",)
    opt = {SCOPE: "outcomes"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("outcomes")

    @post(
        status_code=200,
        operation_id=REPORT_OUTCOME,
        operation_class=takes("OutcomeReport"),
        responses=problems(400, 408, 413, 415, 503, scope="outcomes"),
    )
    async def report(
        self, request: Request[Any, Any, Any], outcomes: NamedDependency[OutcomeService]
    ) -> OutcomeReceipt:
        """Report how an application ended. Sending the same report again changes nothing."""
        return await outcomes.report(await read_json(request))
