"""``/v1/decisions``: decisions already made."""

from typing import Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from serving.access import SCOPE
from serving.decide import logged_decision
from serving.openapi import READ_DECISION, TO_OUTCOME, gives, key_or_token, problems
from serving.outbox import Outbox
from serving.problems import UnknownDecision
from serving.request_trace import note_decision
from serving.wire import LoggedDecision


class DecisionsController(Controller):
    """Read the decision log."""

    path = "/v1/decisions"
    tags = ("Decisions",)
    opt = {SCOPE: "decisions"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("decisions")

    @get(
        "/{decision_id:str}",
        operation_id=READ_DECISION,
        operation_class=gives(leads_to={"outcome": TO_OUTCOME}),
        responses=problems(400, 404, 503, scope="decisions"),
    )
    async def decision(
        self, request: Request[Any, Any, Any], decision_id: FromPath[str], outbox: NamedDependency[Outbox]
    ) -> LoggedDecision:
        """One decision with everything that made it: inputs, features, score, reasons, model."""
        found = await outbox.find_anywhere(decision_id)
        if found is None:
            raise UnknownDecision("No decision of this API has that id")
        note_decision(request.scope, found.decision_id)
        return logged_decision(found)
