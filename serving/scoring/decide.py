"""From an occasion to a decision and its answer, and from a logged decision to the same answer. No effects."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, cast

import msgspec

from ml.bundle.logged_values import load_features, load_reasons
from ml.decisions.decision import Occasion, decide_columns
from ml.decisions.freshness import age_text
from ml.training.policy import Decision as DecisionWord
from serving.deployed.served_model import ServedModel
from serving.http.clock import in_utc
from serving.http.wire import DecisionSummary, LoggedDecision, ModelVersion, ScoredApplication
from serving.scoring.decision_ids import shadow_decision_id
from warehouse.decision_log import Decision, FoundDecision, RoleWord, ShadowDecision

#: A score has a warning if more than this share of the usually known request features is missing; a borrower without
#: history has a separate warning.
MUCH_MISSING = 0.5
_WITHOUT_HISTORY = {
    "left_out": "history is older than this server allows and was left out: scored without history",
    "unavailable": "history could not be looked up: scored without history",
}


def decide(
    model: ServedModel, occasion: Occasion, *, decision_id: str, role: RoleWord
) -> tuple[Decision, ScoredApplication]:
    """Score: the decision to log, and the answer for when it is durable."""
    columns, features = decide_columns(model.scorer, model.deployment, occasion)
    decision = Decision(decision_id=decision_id, role=role, **columns)
    return decision, _answer(decision, features, model)


def decide_in_shadow(model: ServedModel, occasion: Occasion, *, answered_decision_id: str) -> ShadowDecision:
    """The model's hypothetical decision on an occasion that another one answered."""
    columns, _ = decide_columns(model.scorer, model.deployment, occasion)
    decision_id = shadow_decision_id(answered_decision_id)
    return ShadowDecision(decision_id=decision_id, role="shadow", answered_decision_id=answered_decision_id, **columns)


def answer_again(decision: Decision, model: ServedModel) -> ScoredApplication:
    """The original answer, from the log alone; ``model``: the one that decided, if served."""
    same = decision.feature_version == model.contract.version
    return _answer(decision, load_features(decision.features, model.contract) if same else (), model)


def with_interval(answer: ScoredApplication, decision: Decision) -> ScoredApplication:
    """The answer with the interval of its probability."""
    return msgspec.structs.replace(
        answer, probability_low=decision.probability_low, probability_high=decision.probability_high
    )


def logged_decision(decision: Decision) -> LoggedDecision:
    """The logged origin of a decision."""
    return LoggedDecision(
        **_summary_fields(decision),
        raw_score=decision.raw_score,
        probability_low=decision.probability_low,
        probability_high=decision.probability_high,
        points=decision.points,
        reasons=load_reasons(decision.reasons),
        features_as_of=in_utc(decision.features_as_of),
        latency_ms=decision.latency_ms,
        inputs=msgspec.Raw(decision.inputs.encode()),
        features=msgspec.Raw(decision.features.encode()),
    )


def decision_summary(found: FoundDecision) -> DecisionSummary:
    """A decision in brief, for lists."""
    return DecisionSummary(**_summary_fields(found))


def _summary_fields(decision: Decision | FoundDecision) -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "application_id": decision.application_id,
        "borrower_id": decision.borrower_id,
        "lender": decision.source,
        "route": decision.route,
        "caller": decision.caller_name,
        "decided_at": decision.decided_at.replace(tzinfo=UTC),
        "probability": decision.probability,
        "band": decision.band,
        "decision": decision.decision,
        "model": _model_version(decision),
        "role": decision.role,
        "history": decision.history,
        "status": decision.status,
    }


def _model_version(decision: Decision | FoundDecision) -> ModelVersion:
    return ModelVersion(decision.model_name, decision.model_version, decision.feature_version)


def _answer(decision: Decision, features: Sequence[object], model: ServedModel) -> ScoredApplication:
    answer = ScoredApplication(
        decision_id=decision.decision_id,
        application_id=decision.application_id,
        decided_at=decision.decided_at.replace(tzinfo=UTC),
        probability=decision.probability,
        band=decision.band,
        decision=cast("DecisionWord", decision.decision),
        reasons=load_reasons(decision.reasons),
        model=_model_version(decision),
        features_as_of=in_utc(decision.features_as_of),
        status=decision.status,
        points=decision.points,
        warnings=tuple(_warnings(decision, features, model)),
    )
    # the person who decides sees why it was referred
    return with_interval(answer, decision) if decision.decision == "refer" else answer


def _warnings(decision: Decision, features: Sequence[object], model: ServedModel) -> Iterator[str]:
    contract = model.contract
    if decision.status == "scored_without_history" and contract.inputs_of("history"):
        yield _WITHOUT_HISTORY.get(str(decision.history)) or (
            "no borrower_id was given: scored without history"
            if decision.borrower_id is None
            else "this borrower is not known here: scored without history"
        )
    as_of = decision.features_as_of
    if decision.history == "stale" and as_of is not None:
        age = age_text(decision.decided_at - as_of)
        yield f"history is stale: it is as of {as_of.isoformat()}Z, {age} before this decision"
    if as_of is not None and as_of > decision.decided_at:
        yield f"history is as of {as_of.isoformat()}Z, later than this decision: one of the two clocks is wrong"
    usual = model.usually_known
    # a fast count over all features first: the usually known ones are then seldom examined
    if usual and features and features.count(None) > len(usual) * MUCH_MISSING:
        n_missing = sum([features[place] is None for place in usual])
        if n_missing > len(usual) * MUCH_MISSING:
            yield (
                f"{n_missing} of {len(usual)} features that are usually known from the request are missing: "
                "this score rests on little information"
            )
    for place, name, low, high in contract.plausible_ranges if features else ():
        value: Any = features[place]  # a number: only numbers have ranges
        if value is not None and not low <= value <= high:
            yield f"{name} is {value:.6g}, outside its plausible range {low:g} to {high:g}"
