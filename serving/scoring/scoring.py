"""Answer score requests: validate, decide, make durable, and only then answer."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from ml.decisions.decision import Channel, Occasion
from ml.decisions.freshness import BeforeItsHistory, Found, HistoryPolicy, HistoryTooOld
from ml.decisions.online_inputs import Keys, find_records
from serving.deployed.deployment_schema import Requests
from serving.deployed.deployment_watch import DeploymentWatch
from serving.deployed.score_request import application_list_schema
from serving.deployed.served_model import ServedDeployment, ServedModel
from serving.http.body_schema import MOST_SUGGESTED, invalid, naive_utc
from serving.http.clock import future_violation, utc_now, wrong_time
from serving.http.problems import InvalidRequest, KeyReused, NotScorable, Problem, StaleHistory, Unavailable
from serving.http.wire import ScoredApplication, ScoreList, ScoreListRow
from serving.options import ServingOptions
from serving.scoring.decide import answer_again, decide, with_interval
from serving.scoring.decision_ids import key_id, new_decision_id
from serving.scoring.outbox import Outbox
from serving.scoring.shadow import Shadowed, ShadowScorer
from serving.telemetry.metrics import Metrics
from warehouse.decision_log import Decision, RoleWord, ScoringFailure
from warehouse.decision_log.json_text import dump_values
from warehouse.errors import ExpressionDomainError, OnlineStoreUnavailable
from warehouse.online_store import OnlineStore

log = logging.getLogger("loanlake.serving")

#: Rows of a batch scored before other requests get a turn: a few milliseconds.
_ROWS_A_TURN = 16


class _Decided(msgspec.Struct, frozen=True):
    """A decision to make durable, its answer, and what a challenger in shadow then scores."""

    decision: Decision
    answer: ScoredApplication
    shadowed: Shadowed | None

    def answered(self, *, interval: bool) -> ScoredApplication:
        """The answer, with the interval of its probability if that was requested."""
        return with_interval(self.answer, self.decision) if interval else self.answer


class LookUp(msgspec.Struct, frozen=True):
    """The records found for an application, and the decision's time; ``is_given``: it is the caller's own.

    ``keys``: which of them each version reads, by its name. ``away``: why there are none, where the policy refuses a
    score without.
    """

    keys: Mapping[str, Keys]
    found: Found
    policy: HistoryPolicy
    is_given: bool
    decided_at: datetime
    channel: Channel
    away: OnlineStoreUnavailable | None = None

    def occasion(self, model: ServedModel, request: Mapping[str, Any], started: float) -> Occasion:
        """The model's occasion, from its own records alone.

        Raises OnlineStoreUnavailable, HistoryTooOld, or InvalidRequest if the caller's time lies before the history.
        """
        keys = self.keys[model.name]
        if self.away is not None and keys:
            raise self.away
        try:
            found = self.policy.allowed(self.found, keys.values(), self.decided_at, is_given=self.is_given)
        except BeforeItsHistory as error:
            raise invalid((wrong_time("decided_at", self.decided_at, str(error)),)) from None
        return Occasion(request, model.online_inputs.take(keys, found), self.decided_at, self.channel, started)


class ScoringService:
    """Scores with the current deployments."""

    def __init__(
        self,
        *,
        deployments: DeploymentWatch,
        store: OnlineStore,
        outbox: Outbox,
        shadows: ShadowScorer,
        metrics: Metrics,
        options: ServingOptions,
    ):
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._shadows = shadows
        self._metrics = metrics
        self._batch = application_list_schema(options.batch_rows)
        self._policy = options.history
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def score(
        self, lender: str | None, body: Any, channel: Channel, *, interval: bool = False
    ) -> ScoredApplication:
        """A durable decision on one application of a lender, or of the default one.

        ``interval``: whether the answer has the interval of its probability, which the log always has.
        Raises UnknownLender, LenderNeeded, InvalidRequest, StaleHistory or Unavailable without one.
        """
        decided = await self._decide(self._deployments.served(lender), body, new_decision_id(), channel)
        await self._keep([decided])
        return decided.answered(interval=interval)

    async def score_once(
        self, lender: str | None, body: Any, channel: Channel, idempotency_key: str, *, interval: bool = False
    ) -> ScoredApplication:
        """As :meth:`score`, but a repeated request with this key gets the first decision.

        Raises KeyReused for another request with the key. Holds in all workers and after a restart, as long as the log
        keeps the decision.
        """
        key = key_id(channel.caller_id, idempotency_key)
        async with self._turns.setdefault(key, asyncio.Lock()):
            served = self._deployments.served(lender)
            logged = await self._outbox.decision_of_key(key)
            if logged is None:
                decided = await self._decide(served, body, new_decision_id(), channel)
                logged = await self._outbox.add_keyed(key, decided.decision)
                if logged.decision_id == decided.decision.decision_id:
                    self._shadow([decided])
        if logged.source != served.lender or not _is_sent_again(served, body, logged):
            raise KeyReused("This Idempotency-Key was used for another request: send a new key, or the same request")
        answer = answer_again(logged, served.made(logged.model_name, logged.model_version) or served.champion)
        return with_interval(answer, logged) if interval else answer

    async def score_batch(
        self, lender: str | None, body: Any, channel: Channel, *, interval: bool = False
    ) -> ScoreList:
        """A decision on each application, all in one transaction; raises Unavailable if none could be durable."""
        served = self._deployments.served(lender)
        made: list[_Decided] = []
        rows: list[ScoreListRow] = []
        for index, application in enumerate(self._batch.validate(body)["applications"]):
            if index % _ROWS_A_TURN == _ROWS_A_TURN - 1:
                await asyncio.sleep(0)
            try:
                suggests = len(rows) - len(made) < MOST_SUGGESTED
                decided = await self._decide(served, application, new_decision_id(), channel, suggests=suggests)
            except (InvalidRequest, NotScorable, StaleHistory) as problem:
                rows.append(ScoreListRow(index=index, problem=problem.document()))
            else:
                made.append(decided)
                rows.append(ScoreListRow(index=index, score=decided.answered(interval=interval)))
        await self._keep(made)
        return ScoreList(n_scored=len(made), n_refused=len(rows) - len(made), results=tuple(rows))

    async def _keep(self, made: Sequence[_Decided]) -> None:
        """Make decisions durable, then offer them to a shadow challenger."""
        if not made:
            return
        await self._outbox.add_decisions([decided.decision for decided in made])
        self._shadow(made)

    def _shadow(self, made: Sequence[_Decided]) -> None:
        for decided in made:
            if decided.shadowed is not None:
                self._shadows.offer(decided.shadowed)

    async def _decide(
        self, served: ServedDeployment, body: Any, decision_id: str, channel: Channel, *, suggests: bool = True
    ) -> _Decided:
        started = time.perf_counter()
        try:
            requests = served.request_schema.validate(body, suggests=suggests)
            look_up = await self._look_up(served, requests, channel)
            decision, answer = await self._answered(served, requests, look_up, decision_id, started)
        except InvalidRequest as problem:
            self._metrics.count_violations(served.lender, problem.violations, served.request_schema.fields)
            raise
        return _Decided(decision, answer, _shadowed(served, requests, look_up, decision_id))

    async def _answered(
        self, served: ServedDeployment, requests: Requests, look_up: LookUp, decision_id: str, started: float
    ) -> tuple[Decision, ScoredApplication]:
        """The decision of this applicant's version, or of the champion if a challenger fails.

        Failures count against the version, except those of the store or the caller's time. Raises InvalidRequest,
        Unavailable, StaleHistory, NotScorable, or what the champion raised.
        """
        for role, model in served.answering(requests.champion):
            of_challenger = requests.challenger if role == "challenger" else None
            try:
                occasion = look_up.occasion(model, of_challenger or requests.champion, started)
                return decide(model, occasion, decision_id=decision_id, role=role)
            except InvalidRequest:
                if role != "challenger":
                    raise
            except (OnlineStoreUnavailable, HistoryTooOld) as error:
                if role != "challenger":
                    raise self._refusal(served.lender, error) from error
            except Exception as error:
                await self._keep_failure(model, role, error)
                if role == "challenger":
                    continue  # a challenger may fail in unforeseen ways
                if isinstance(error, ExpressionDomainError):
                    raise NotScorable(str(error)) from None
                raise
        raise AssertionError("the champion stands behind every challenger")

    def _refusal(self, lender: str, error: OnlineStoreUnavailable | HistoryTooOld) -> Problem:
        """The problem for the caller; also counts it."""
        if isinstance(error, HistoryTooOld):
            self._metrics.history_refusals[lender, "stale"].inc()
            return StaleHistory(str(error))
        self._metrics.history_refusals[lender, "unavailable"].inc()
        return Unavailable(f"History cannot be looked up: {error}", retry_after_seconds=10)

    async def _keep_failure(self, model: ServedModel, role: RoleWord, error: Exception) -> None:
        deployment = model.deployment
        failure = ScoringFailure(
            failure_id=new_decision_id(),
            failed_at=utc_now(),
            source=deployment.source,
            model_name=deployment.model_name,
            model_version=deployment.model_version,
            feature_version=deployment.feature_version,
            role=role,
            reason="not_scorable" if isinstance(error, ExpressionDomainError) else type(error).__name__,
        )
        self._metrics.count_failure(
            deployment, role, "not_scorable" if isinstance(error, ExpressionDomainError) else "failed"
        )
        if role == "challenger":  # a champion's failure is the answer
            log.error("challenger failed", extra={"model": model.name, "error": type(error).__name__})
        await self._outbox.add(failure)

    async def _look_up(self, served: ServedDeployment, requests: Requests, channel: Channel) -> LookUp:
        """Read all versions' records at one moment; raises InvalidRequest for a time in the future."""
        given: datetime | None = requests.champion["decided_at"]
        violation = future_violation("decided_at", given, utc_now()) if given is not None else None
        if violation is not None:
            raise invalid((violation,))
        keys = {served.champion.name: served.champion.keys(requests.champion)}
        if served.challenger is not None and requests.challenger is not None:
            keys[served.challenger.name] = served.challenger.keys(requests.challenger)
        away = None
        try:
            found = await find_records(self._store, keys.values(), self._policy)
        except OnlineStoreUnavailable as error:
            found, away = Found({}, "unavailable"), error
        return LookUp(keys, found, self._policy, given is not None, given or utc_now(), channel, away)


def _shadowed(
    served: ServedDeployment, requests: Requests, look_up: LookUp, answered_decision_id: str
) -> Shadowed | None:
    if served.shadow is None:
        return None
    occasion = None
    if requests.challenger is not None:
        with suppress(OnlineStoreUnavailable, HistoryTooOld, InvalidRequest):
            occasion = look_up.occasion(served.shadow, requests.challenger, time.perf_counter())
    return Shadowed(served.shadow, occasion, answered_decision_id)


def _is_sent_again(served: ServedDeployment, body: Any, logged: Decision) -> bool:
    """Whether a body is the one that a decision was made on.

    A body that the current versions refuse must name that application and contradict no logged input. Raises
    InvalidRequest if it does.
    """
    try:
        request = served.request_schema.validate(body)
    except InvalidRequest:
        if isinstance(body, dict) and _agrees(body, logged):
            return True
        raise
    return _is_same_request(request.given(), logged)


def _agrees(body: Mapping[str, Any], logged: Decision) -> bool:
    kept = _kept(logged)
    sent = {"borrower_id": None, **body}
    ids_agree = all(sent.get(name) == kept[name] for name in ("application_id", "borrower_id"))
    # a field of another version is not among the logged inputs, and times are in UTC
    return ids_agree and all(
        name not in kept or kept[name] in (value, _in_utc(value)) or (name, value) == ("decided_at", None)
        for name, value in sent.items()
    )


def _in_utc(value: Any) -> Any:
    """A time as the log writes it; other values unchanged."""
    with suppress(msgspec.ValidationError):
        time = naive_utc(msgspec.convert(value, datetime)) if isinstance(value, str) else None
        return time.isoformat() if time is not None else value
    return value


def _kept(logged: Decision) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(logged.inputs)
    return kept | {"application_id": logged.application_id, "borrower_id": logged.borrower_id}


def _is_same_request(request: Mapping[str, Any], logged: Decision) -> bool:
    """Whether a request equals a decision's, by all that decided it."""
    sent: dict[str, Any] = json.loads(dump_values(request))
    kept = _kept(logged)
    if sent["decided_at"] is None:
        sent.pop("decided_at")
    # a field of another version is not among the logged inputs
    return all(kept[name] == value for name, value in sent.items() if name in kept)
