"""``/v1/scores``: one application, or a list of them."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter

from serving.access.guards import BY_LENDER, SCOPE, caller
from serving.controllers.openapi import (
    TO_DECISION,
    TO_OUTCOME,
    LenderInPath,
    by_lender,
    key_or_token,
    operation,
    operation_of,
    problems,
)
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

WithInterval = Annotated[
    bool,
    QueryParameter(
        description=(
            "Whether each score has the interval of its probability, `probability_low` to `probability_high`. A "
            "referral always has it."
        ),
    ),
]


class ScoresController(Controller):
    """Score applications with the deployed model."""

    path = "/v1"
    tags = ("Scores",)
    opt = {SCOPE: "score", BY_LENDER: True}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("score")

    @post(
        by_lender("scores"),
        status_code=200,
        summary="Score an application",
        operation_id=operation_of("scoreApplication"),
        operation_class=operation("ScoreRequest", leads_to={"decision": TO_DECISION, "outcome": TO_OUTCOME}),
        responses=problems(400, 404, 408, 413, 415, 422, 503, scope="score"),
    )
    async def score(
        self,
        request: Request[Any, Any, Any],
        scoring: NamedDependency[ScoringService],
        lender: LenderInPath = None,
        idempotency_key: IdempotencyKey = None,
        interval: WithInterval = False,
    ) -> ScoredApplication:
        """Score one application. The decision is stored before the answer."""
        body, channel = await read_json(request), caller(request).channel("online")
        if idempotency_key is None:
            answer = await scoring.score(lender, body, channel, interval=interval)
        else:
            answer = await scoring.score_once(lender, body, channel, idempotency_key, interval=interval)
        note_decision(request.scope, answer.decision_id)
        return answer

    @post(
        by_lender("scores/batch"),
        status_code=200,
        summary="Score a list of applications",
        operation_id=operation_of("scoreApplications"),
        operation_class=operation("ScoreListRequest"),
        responses=problems(400, 404, 408, 413, 415, 503, scope="score"),
    )
    async def score_batch(
        self,
        request: Request[Any, Any, Any],
        scoring: NamedDependency[ScoringService],
        lender: LenderInPath = None,
        interval: WithInterval = False,
    ) -> ScoreList:
        """Score a list of applications. An invalid one gets a problem; the others get their scores."""
        channel = caller(request).channel("inline_batch")
        return await scoring.score_batch(lender, await read_json(request), channel, interval=interval)
