"""One decision for the page: its reasons as bars, its probability beside the cut-off."""

import json
import math

from serving.deployed.served_model import ServedDeployment
from serving.page.views import DecisionView, ReasonBar
from serving.scoring.decide import logged_decision
from warehouse.decision_log import Decision


def decision_view(decision: Decision, served: ServedDeployment | None) -> DecisionView:
    """Everything that the page shows of a decision."""
    logged = logged_decision(decision)
    longest = max((abs(reason.contribution) for reason in logged.reasons), default=1.0) or 1.0
    return DecisionView(
        logged=logged,
        cut_off=_cut_off(decision, served),
        reasons=[
            ReasonBar(
                text=reason.text,
                feature=reason.feature,
                contribution=reason.contribution,
                odds=math.exp(reason.contribution),
                width=round(100 * abs(reason.contribution) / longest, 1),
            )
            for reason in logged.reasons
        ],
        inputs=json.loads(decision.inputs),
        features=json.loads(decision.features),
    )


def _cut_off(decision: Decision, served: ServedDeployment | None) -> float | None:
    for model in (served.champion, served.challenger) if served is not None else ():
        if model is not None and model.deployment.is_version(decision.model_name, decision.model_version):
            return model.scorer.bundle.policy.cut_off
    return None
