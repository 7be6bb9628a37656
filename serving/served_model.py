"""A deployed bundle, loaded and proven able to score.

It is immutable: requests in flight finish on the one they began with.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from ml.bundle import load_bundle
from ml.deployment import Deployment
from ml.scorer import Scorer
from serving.body_schema import BodySchema
from serving.score_request import score_request_schema
from serving.wire import ModelVersion
from warehouse.contract import FeatureContract
from warehouse.settings import Settings


@dataclass(frozen=True)
class ServedModel:
    """What requests are answered with."""

    deployment: Deployment
    scorer: Scorer
    request_schema: BodySchema

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


def load_served_model(settings: Settings, deployment: Deployment) -> ServedModel:
    """Load a deployment's bundle and score one row of nulls with it.

    Raises BundleError, ContractError or ExpressionError where it cannot be served. Takes a fraction of a second: call
    it off the event loop.
    """
    scorer = Scorer(load_bundle(deployment.bundle_directory(settings)))
    nothing: dict[str, object] = dict.fromkeys(column.name for column in scorer.contract.inputs)
    nothing["decided_at"] = datetime.now(UTC).replace(tzinfo=None)
    # the first run of an ONNX session is slow, and a bundle that cannot score must not be swapped in
    features = scorer.features(nothing)
    scorer.score(features)
    scorer.reasons(features)
    return ServedModel(deployment, scorer, score_request_schema(scorer.contract))
