"""A deployed bundle, loaded and tested; and a deployment: the champion, and perhaps a challenger.

Both are immutable: running requests finish with what they began with.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from ml.bundle.scorer import Scorer
from ml.decisions.borrower_features import BorrowerReader
from ml.decisions.online_inputs import Keys, OnlineInputs
from ml.judging.metrics import SplitKind, measured_split
from ml.registry.deployment import Deployment, Mode
from ml.registry.registered_version import load_registered
from serving.deployed.assignment import is_challenged
from serving.deployed.deployment_schema import DeploymentSchema, Version
from serving.deployed.score_request import score_request_schema
from serving.http.body_schema import BodySchema, Field
from serving.http.wire import (
    ChallengerDescription,
    InputDescription,
    ModelDescription,
    ModelGuarantees,
    ModelVersion,
)
from warehouse.decision_log import RoleWord
from warehouse.errors import ExpressionDomainError
from warehouse.features.contract import FeatureContract
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: Features that fewer training rows lacked are usually known; the others cause no warning.
_SELDOM_MISSING = 0.5


@dataclass(frozen=True)
class ServedModel:
    """A model that answers requests."""

    deployment: Deployment
    scorer: Scorer
    request_schema: BodySchema
    online_inputs: OnlineInputs

    @property
    def contract(self) -> FeatureContract:
        """The inputs and features of this model; they travel with it."""
        return self.scorer.contract

    @cached_property
    def name(self) -> str:
        """How people and messages call it."""
        return f"{self.deployment.model_name} version {self.deployment.model_version}"

    @cached_property
    def usually_known(self) -> tuple[int, ...]:
        """Indices of request features that most training rows had a value of."""
        missing: Mapping[str, float] = self.scorer.bundle.reference.get("missing_share", {})
        of_request = self.contract.features_made_of("request") - self.contract.features_made_of("history", "cohort")
        return tuple(
            place
            for place, name in enumerate(self.contract.feature_names)
            if name in of_request and missing.get(name, 1.0) < _SELDOM_MISSING
        )

    @cached_property
    def borrowers(self) -> BorrowerReader:
        """Reads borrowers' features without an application."""
        return BorrowerReader(self.deployment.source, self.contract)

    @cached_property
    def version(self) -> ModelVersion:
        """How answers name it."""
        deployment = self.deployment
        return ModelVersion(
            name=deployment.model_name, version=deployment.model_version, feature_version=deployment.feature_version
        )

    @property
    def family(self) -> str:
        """The kind of model."""
        return self.scorer.bundle.family.name

    @cached_property
    def guarantees(self) -> ModelGuarantees:
        """What its bundle states of scores, reasons and directions."""
        return ModelGuarantees(**asdict(self.scorer.bundle.guarantees))

    def keys(self, request: Mapping[str, Any]) -> Keys:
        """The online store's records that it needs."""
        return self.online_inputs.keys(request["borrower_id"], request)

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Metrics of it and each baseline on the test rows."""
        return {
            row["model"]: {name: value for name, value in row.items() if name not in ("split", "month", "model")}
            for row in self.scorer.bundle.metrics["measured"]
            if row["split"] == "test" and row["month"] is None
        }

    @cached_property
    def split(self) -> SplitKind:
        """Whether these rows were decided after its train rows."""
        return measured_split(self.scorer.bundle.metrics)


@dataclass(frozen=True)
class ServedDeployment:
    """The served models of a lender; ``challenger`` and ``mode`` are None if the champion is alone."""

    champion: ServedModel
    challenger: ServedModel | None = None
    mode: Mode | None = None
    share: float | None = None

    @cached_property
    def lender(self) -> str:
        """Whose applicants it answers."""
        return self.champion.deployment.source

    @property
    def shadow(self) -> ServedModel | None:
        """The challenger that scores without answering."""
        return self.challenger if self.mode == "shadow" else None

    @cached_property
    def request_schema(self) -> DeploymentSchema:
        """The union of its versions' fields."""
        champion = Version(f"{self.champion.name}, the champion", self.champion.request_schema)
        if self.challenger is None:
            return DeploymentSchema(champion)
        name = f"{self.challenger.name}, the challenger"
        challenger = Version(name, self.challenger.request_schema, answers=self.mode != "shadow")
        return DeploymentSchema(champion, challenger)

    def answering(self, request: Mapping[str, Any]) -> tuple[tuple[RoleWord, ServedModel], ...]:
        """The models to try, in order, chosen by the borrower or, without one, the application.

        The champion comes after the challenger: no applicant is refused because a version on trial fails.
        """
        champion: tuple[RoleWord, ServedModel] = ("champion", self.champion)
        if self.challenger is None or self.share is None:
            return (champion,)
        applicant = str(request["borrower_id"] or request["application_id"])
        if is_challenged(applicant, trial=self.challenger.name, share=self.share):
            return ("challenger", self.challenger), ("fallback", self.champion)
        return (champion,)

    def roles(self) -> tuple[tuple[ServedModel, tuple[str, ...]], ...]:
        """Each version with its possible roles."""
        if self.challenger is None:
            return ((self.champion, ("champion",)),)
        if self.mode == "shadow":
            return (self.champion, ("champion",)), (self.challenger, ("shadow",))
        return (self.champion, ("champion", "fallback")), (self.challenger, ("challenger",))

    def traffic(self) -> tuple[tuple[str, ServedModel, float], ...]:
        """Each version with its place, and the share of the applicants that it answers."""
        share = self.share or 0.0
        champion = ("champion", self.champion, 1 - share)
        return (champion,) if self.challenger is None else (champion, ("challenger", self.challenger, share))

    def made(self, model_name: str, model_version: int) -> ServedModel | None:
        """The served model that made a decision, or None."""
        models = [model for _, model, _ in self.traffic()]
        return next((model for model in models if model.deployment.is_version(model_name, model_version)), None)

    @cached_property
    def description(self) -> ModelDescription:
        """What ``/v1/model`` answers."""
        deployment, schema = self.champion.deployment, self.request_schema
        return ModelDescription(
            name=deployment.model_name,
            version=deployment.model_version,
            lender=deployment.source,
            family=self.champion.family,
            guarantees=self.champion.guarantees,
            feature_version=deployment.feature_version,
            published_at=deployment.published_at,
            published_by=deployment.published_by,
            cut_off=self.champion.scorer.bundle.policy.cut_off,
            refer_width=self.champion.scorer.bundle.policy.refer_width,
            metrics=self.champion.metrics,
            inputs=tuple(_described(field, schema) for field in schema.fields.values()),
            challenger=self._challenger_description,
        )

    @property
    def _challenger_description(self) -> ChallengerDescription | None:
        if self.challenger is None or self.mode is None:
            return None
        deployment = self.challenger.deployment
        return ChallengerDescription(
            name=deployment.model_name,
            version=deployment.model_version,
            family=self.challenger.family,
            guarantees=self.challenger.guarantees,
            feature_version=deployment.feature_version,
            mode=self.mode,
            share=self.share,
            challenging_since=deployment.published_at,
            challenged_by=deployment.published_by,
            cut_off=self.challenger.scorer.bundle.policy.cut_off,
            refer_width=self.challenger.scorer.bundle.policy.refer_width,
            metrics=self.challenger.metrics,
        )


def load_served_model(settings: Settings, deployment: Deployment) -> ServedModel:
    """Load a deployment's bundle and score one row of nulls; requests must give what the lender's file requires.

    Raises BundleError, ContractError, ExpressionError or SettingError if it is unusable. Takes a fraction of a second:
    call it off the event loop.
    """
    scorer = Scorer(load_registered(settings, deployment.source, deployment.model_version))
    nothing: dict[str, object] = dict.fromkeys(column.name for column in scorer.contract.inputs)
    nothing["decided_at"] = datetime.now(UTC).replace(tzinfo=None)
    # an ONNX session's first run is slow, and a bundle that cannot score must not be swapped in
    with suppress(ExpressionDomainError):  # a formula may have no result for nulls alone
        features = scorer.features(nothing)
        scorer.score(features)
        scorer.reasons(features)
    model = ServedModel(
        deployment=deployment,
        scorer=scorer,
        request_schema=score_request_schema(scorer.contract, required=read_lender(deployment.source).request.required),
        online_inputs=OnlineInputs(deployment.source, scorer.contract),
    )
    _ = model.usually_known, model.borrowers  # worked out now, not by the first request
    return model


def _described(field: Field, schema: DeploymentSchema) -> InputDescription:
    return InputDescription(
        name=field.name,
        required=schema.is_required(field.name),
        rule=field.rule,
        description=field.description,
        example=msgspec.UNSET if field.example is None else field.example,
        needed_by=schema.needed_by(field.name),
    )
