"""Answer score requests: validate, decide, make durable, and only then answer."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from weakref import WeakValueDictionary

import msgspec

from ml.logged_values import dump_inputs
from serving.body_schema import BodySchema, Field, invalid
from serving.clock import future_violation, utc_now, wrong_time
from serving.decide import answer_again, decide
from serving.decision_ids import new_decision_id, repeatable_decision_id
from serving.deployment_watch import DeploymentWatch
from serving.metrics import Metrics
from serving.online_inputs import LookedUp
from serving.outbox import Outbox
from serving.problems import InvalidRequest, KeyReused, NotScorable, Unavailable
from serving.served_model import ServedModel
from serving.wire import BatchAnswer, BatchRow, ScoredApplication
from warehouse.decision_log import Decision
from warehouse.errors import ExpressionDomainError, OnlineStoreUnavailable
from warehouse.online_store import OnlineStore

#: Rows of a batch scored before other requests get a turn: 16 take a few milliseconds.
_ROWS_A_TURN = 16


def batch_schema(most_rows: int) -> BodySchema:
    """The body of a batch; its applications are validated one by one, so that a bad one spares the others."""
    field = Field(
        name="applications",
        type=Annotated[list[Any], msgspec.Meta(min_length=1, max_length=most_rows)],
        rule=f"a list of 1 to {most_rows} applications",
    )
    return BodySchema("BatchRequest", (field,))


class ScoringService:
    """Scores with whatever model is deployed when a request arrives."""

    def __init__(
        self,
        *,
        deployments: DeploymentWatch,
        store: OnlineStore,
        outbox: Outbox,
        metrics: Metrics,
        batch_rows: int,
        clock: Callable[[], datetime] = utc_now,
    ):
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._metrics = metrics
        self._batch = batch_schema(batch_rows)
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def score(self, body: Any) -> ScoredApplication:
        """A decision on one application, durable.

        Raises InvalidRequest with all violations, or Unavailable, after which nothing was decided.
        """
        model = self._deployments.served()
        decision, answer = await self._decide(model, body, new_decision_id())
        await self._outbox.add_decisions([decision])
        return answer

    async def score_once(self, body: Any, api_key_id: str, idempotency_key: str) -> ScoredApplication:
        """As :meth:`score`, but the same request sent again with this key gets the decision made the first time.

        Raises KeyReused where the key came with another request. Holds in all workers and after a restart: the
        decision's id follows from the key, and the log keeps the first decision of an id.
        """
        decision_id = repeatable_decision_id(api_key_id, idempotency_key)
        async with self._turns.setdefault(decision_id, asyncio.Lock()):
            model = self._deployments.served()
            logged = self._outbox.find(decision_id)
            if logged is None:
                decision, _ = await self._decide(model, body, decision_id)
                await self._outbox.add_decisions([decision])
                logged = self._outbox.find(decision_id) or decision
        if not _is_same_request(model.request_schema.validate(body), logged):
            raise KeyReused("Send another Idempotency-Key with another request, or the same request with this one")
        return answer_again(logged, model.contract)

    async def score_batch(self, body: Any) -> BatchAnswer:
        """A decision on each application, all in one transaction; raises Unavailable where none could be durable."""
        model = self._deployments.served()
        decisions: list[Decision] = []
        rows: list[BatchRow] = []
        for index, application in enumerate(self._batch.validate(body)["applications"]):
            if index % _ROWS_A_TURN == _ROWS_A_TURN - 1:
                await asyncio.sleep(0)
            try:
                decision, answer = await self._decide(model, application, new_decision_id())
            except (InvalidRequest, NotScorable) as problem:
                rows.append(BatchRow(index=index, problem=problem.document()))
            else:
                decisions.append(decision)
                rows.append(BatchRow(index=index, score=answer))
        if decisions:
            await self._outbox.add_decisions(decisions)
        return BatchAnswer(n_scored=len(decisions), n_refused=len(rows) - len(decisions), results=tuple(rows))

    async def _decide(self, model: ServedModel, body: Any, decision_id: str) -> tuple[Decision, ScoredApplication]:
        started = time.perf_counter()
        try:
            request = model.request_schema.validate(body)
            looked_up = await self._look_up(model, request)
            decided_at = self._decided_at(request["decided_at"], looked_up)
        except InvalidRequest as problem:
            self._metrics.count_violations(problem, model.request_schema)
            raise
        try:
            return decide(model, looked_up, request, decision_id=decision_id, decided_at=decided_at, started=started)
        except ExpressionDomainError as error:
            raise NotScorable(str(error)) from None

    async def _look_up(self, model: ServedModel, request: Mapping[str, Any]) -> LookedUp:
        try:
            return await model.online_inputs.look_up(self._store, request["borrower_id"], request)
        except OnlineStoreUnavailable as error:
            raise Unavailable(f"History cannot be looked up: {error}", retry_after_seconds=10) from error

    def _decided_at(self, given: datetime | None, looked_up: LookedUp) -> datetime:
        now = self._clock()
        if given is None:
            return now
        violation = future_violation("decided_at", given, now)
        if violation is None and looked_up.newest is not None and given < looked_up.newest:
            # the history at hand was not known then: such a score would see the future
            rule = f"must not be before the history used, which is as of {looked_up.newest.isoformat()}Z"
            violation = wrong_time("decided_at", given, rule)
        if violation is not None:
            raise invalid((violation,))
        return given


def _is_same_request(request: Mapping[str, Any], logged: Decision) -> bool:
    sent: dict[str, Any] = json.loads(dump_inputs(request))
    kept: dict[str, Any] = json.loads(logged.inputs)
    kept |= {"application_id": logged.application_id, "borrower_id": logged.borrower_id}
    if sent["decided_at"] is None:
        sent.pop("decided_at")
    return all(kept.get(name) == value for name, value in sent.items())
