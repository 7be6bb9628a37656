"""``/v1/scores``: one application, or a list of them."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from serving.access.guards import SCOPE, caller
from serving.controllers.openapi import TO_DECISION, TO_OUTCOME, key_or_token, operation, problems
from serving.http.json_body import read_json
from serving.http.wire import ScoredApplication, ScoreList
from serving.scoring.scoring import ScoringService
from serving.telemetry.request_trace import note_decision
from warehouse.settings import KEY_LIFE

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description=(
            "Any text. The same request with the same key returns its first answer; another request with it is "
            f"refused. Valid for at least {KEY_LIFE // timedelta(hours=1)} hours; afterwards it may count as a new key."
        ),
    ),
]


class ScoresController(Controller):
    """Score applications with the deployed model."""

    path = "/v1/scores"
    tags = ("Scores",)
    opt = {SCOPE: "score"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("score")

    @post(
        status_code=200,
        summary="Score an application",
        operation_id="scoreApplication",
        operation_class=operation("ScoreRequest", leads_to={"decision": TO_DECISION, "outcome": TO_OUTCOME}),
        responses=problems(400, 408, 413, 415, 422, 503, scope="score"),
    )
    async def score(
        self,
        request: Request[Any, Any, Any],
        scoring: NamedDependency[ScoringService],
        idempotency_key: IdempotencyKey = None,
    ) -> ScoredApplication:
        """Score one application. The decision is stored before the answer."""
        body = await read_json(request)
        if idempotency_key is None:
            answer = await scoring.score(body, caller(request).channel("online"))
        else:
            answer = await scoring.score_once(body, caller(request).channel("online"), idempotency_key)
        note_decision(request.scope, answer.decision_id)
        return answer

    @post(
        "/batch",
        status_code=200,
        summary="Score a list of applications",
        operation_id="scoreApplications",
        operation_class=operation("ScoreListRequest"),
        responses=problems(400, 408, 413, 415, 503, scope="score"),
    )
    async def score_batch(self, request: Request[Any, Any, Any], scoring: NamedDependency[ScoringService]) -> ScoreList:
        """Score a list of applications. An invalid one gets a problem; the others get their scores."""
        return await scoring.score_batch(await read_json(request), caller(request).channel("inline_batch"))
