"""One decision from one occasion: requests, shadow challengers and batches get the same columns."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ml.bundle.logged_values import dump_reasons
from ml.bundle.scorer import Scorer
from ml.decisions.online_inputs import LookedUp
from ml.registry.deployment import Deployment
from warehouse.decision_log import RouteWord, StatusWord


class Channel(msgspec.Struct, frozen=True):
    """The route and caller of a decision, as the log keeps them (:class:`warehouse.decision_log.Decision`)."""

    route: RouteWord
    caller_id: str
    caller_name: str | None


class Occasion(msgspec.Struct, frozen=True):
    """What a decision is made of beside the model: a validated request, what was looked up, who asked, and the times.

    ``request`` names the application and, where it is known, the borrower. ``decided_at`` is naive UTC, ``started`` the
    ``perf_counter`` of the request's arrival, None if no caller waits for an answer.
    """

    request: Mapping[str, Any]
    looked_up: LookedUp
    decided_at: datetime
    channel: Channel
    started: float | None = None


def decide_columns(
    scorer: Scorer, deployment: Deployment, occasion: Occasion
) -> tuple[dict[str, Any], Sequence[object]]:
    """The columns of a decision without id and role, and its feature vector in contract order.

    Raises ExpressionDomainError if a feature's formula has no result for these values.
    """
    request, looked_up, channel = occasion.request, occasion.looked_up, occasion.channel
    row = {
        **scorer.no_inputs,
        **request,
        **looked_up.values,
        "source": deployment.source,
        "decided_at": occasion.decided_at,
    }
    features = scorer.features(row)
    score = scorer.score(features)
    # approvals need no reasons, and explaining costs more than scoring
    reasons = scorer.reasons(features) if score.decision != "approve" else []
    columns = {
        "decided_at": occasion.decided_at,
        "source": deployment.source,
        "application_id": request["application_id"],
        "borrower_id": request["borrower_id"],
        "inputs": scorer.inputs_text(scorer.inputs(row)),
        "features": scorer.features_text(features),
        "raw_score": score.raw,
        "points": score.points,
        "probability": score.probability,
        "probability_low": score.low,
        "probability_high": score.high,
        "band": score.band,
        "decision": score.decision,
        "reasons": dump_reasons(reasons),
        "model_name": deployment.model_name,
        "model_version": deployment.model_version,
        "feature_version": deployment.feature_version,
        "route": channel.route,
        "status": _status(looked_up),
        "latency_ms": (time.perf_counter() - occasion.started) * 1000 if occasion.started is not None else None,
        "features_as_of": looked_up.as_of,
        "lake_snapshot": looked_up.lake_snapshot,
        "history": looked_up.history,
        "caller_id": channel.caller_id,
        "caller_name": channel.caller_name,
    }
    return columns, features


def _status(looked_up: LookedUp) -> StatusWord:
    if not looked_up.has_history:
        return "scored_without_history"
    return "scored_with_stale_history" if looked_up.history == "stale" else "scored"
