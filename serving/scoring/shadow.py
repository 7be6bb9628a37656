"""Score with a shadow challenger: after the answer, one application at a time.

The queue is bounded: applications beyond it are left out and counted. A killed process loses its queue, which no caller
was promised.
"""

import asyncio
import logging
from collections import deque
from contextvars import Context
from dataclasses import dataclass

from ml.decisions.decision import Occasion
from serving.deployed.served_model import ServedModel
from serving.http.problems import Unavailable
from serving.scoring.decide import decide_in_shadow
from serving.scoring.outbox import Outbox
from serving.telemetry.metrics import Metrics
from warehouse.decision_log import ShadowDecision
from warehouse.errors import ExpressionDomainError

log = logging.getLogger("loanlake.serving")

MOST_WAITING = 2_000
#: Rows per write to the decision log, where they must not displace decisions.
_ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Shadowed:
    """An answered decision, and the challenger's occasion; None: it cannot score."""

    model: ServedModel
    occasion: Occasion | None
    answered_decision_id: str


class ShadowScorer:
    """Logs what the challenger would have decided."""

    def __init__(self, *, outbox: Outbox, metrics: Metrics):
        self._outbox = outbox
        self._metrics = metrics
        self._waiting: deque[Shadowed] = deque()
        self._task: asyncio.Task[None] | None = None

    def offer(self, shadowed: Shadowed) -> None:
        """Score it soon; costs the caller an append."""
        if shadowed.occasion is None:
            self._metrics.count_failure(shadowed.model.deployment, "shadow", "not_scorable")
            return
        if len(self._waiting) >= MOST_WAITING:
            self._metrics.count_failure(shadowed.model.deployment, "shadow", "left_out")
            return
        self._waiting.append(shadowed)
        if self._task is None or self._task.done():
            # without this request's context, whose id must not appear in lines about others
            self._task = asyncio.create_task(self._drain(), context=Context())

    async def close(self) -> None:
        """Score what waits, then stop."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        while self._waiting:
            scored: list[tuple[ServedModel, ShadowDecision]] = []
            while self._waiting and len(scored) < _ROWS_AT_ONCE:
                await asyncio.sleep(0)  # waiting answers go first
                shadowed = self._waiting.popleft()
                decision = self._scored(shadowed)
                if decision is not None:
                    scored.append((shadowed.model, decision))
            try:
                await self._outbox.add_shadows([decision for _, decision in scored])
            except Unavailable:
                for model, _ in scored:
                    self._metrics.count_failure(model.deployment, "shadow", "left_out")

    def _scored(self, shadowed: Shadowed) -> ShadowDecision | None:
        if shadowed.occasion is None:
            return None
        try:
            return decide_in_shadow(
                shadowed.model, shadowed.occasion, answered_decision_id=shadowed.answered_decision_id
            )
        except ExpressionDomainError:
            self._metrics.count_failure(shadowed.model.deployment, "shadow", "not_scorable")
        except Exception as error:
            # a challenger may fail in unforeseen ways; the next applications are still scored
            self._metrics.count_failure(shadowed.model.deployment, "shadow", "failed")
            log.error(
                "shadow failed",
                extra={
                    "model": shadowed.model.name,
                    "error": type(error).__name__,
                    "decision_id": shadowed.answered_decision_id,
                },
            )
        return None
