"""A deployed bundle, loaded and proven able to score.

It is immutable: requests in flight finish on the one they began with.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from ml.bundle import load_bundle
from ml.deployment import Deployment
from ml.scorer import Scorer
from serving.body_schema import BodySchema, Field
from serving.online_inputs import OnlineInputs
from serving.score_request import score_request_schema
from serving.wire import InputDescription, ModelDescription, ModelVersion
from warehouse.contract import FeatureContract
from warehouse.errors import ExpressionDomainError
from warehouse.settings import Settings


@dataclass(frozen=True)
class ServedModel:
    """What requests are answered with."""

    deployment: Deployment
    scorer: Scorer
    request_schema: BodySchema
    online_inputs: OnlineInputs

    @property
    def contract(self) -> FeatureContract:
        """The inputs and features of this model; they travel with it."""
        return self.scorer.contract

    @cached_property
    def version(self) -> ModelVersion:
        """How answers name it."""
        deployment = self.deployment
        return ModelVersion(
            name=deployment.model_name, version=deployment.model_version, feature_version=deployment.feature_version
        )

    @cached_property
    def description(self) -> ModelDescription:
        """What ``/v1/model`` answers."""
        deployment, bundle = self.deployment, self.scorer.bundle
        return ModelDescription(
            name=deployment.model_name,
            version=deployment.model_version,
            source=deployment.source,
            feature_version=deployment.feature_version,
            published_at=deployment.published_at,
            published_by=deployment.published_by,
            cut_off=bundle.policy.cut_off,
            metrics=_out_of_time(bundle.metrics),
            inputs=tuple(_described(field) for field in self.request_schema.fields.values()),
        )


def load_served_model(settings: Settings, deployment: Deployment) -> ServedModel:
    """Load a deployment's bundle and score one row of nulls with it.

    Raises BundleError, ContractError or ExpressionError where it cannot be served. Takes a fraction of a second: call
    it off the event loop.
    """
    scorer = Scorer(load_bundle(deployment.bundle_directory(settings)))
    nothing: dict[str, object] = dict.fromkeys(column.name for column in scorer.contract.inputs)
    nothing["decided_at"] = datetime.now(UTC).replace(tzinfo=None)
    # the first run of an ONNX session is slow, and a bundle that cannot score must not be swapped in
    with suppress(ExpressionDomainError):  # a formula may have no result for nulls alone
        features = scorer.features(nothing)
        scorer.score(features)
        scorer.reasons(features)
    return ServedModel(
        deployment=deployment,
        scorer=scorer,
        request_schema=score_request_schema(scorer.contract),
        online_inputs=OnlineInputs(deployment.source, scorer.contract),
    )


def _out_of_time(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        row["model"]: {name: value for name, value in row.items() if name not in ("split", "month", "model")}
        for row in metrics["measured"]
        if row["split"] == "test" and row["month"] is None
    }


def _described(field: Field) -> InputDescription:
    return InputDescription(
        name=field.name,
        required=field.required,
        rule=field.rule,
        description=field.description,
        example=msgspec.UNSET if field.example is None else field.example,
    )
