"""Answer ``/v1/features``: many borrowers of a lender at one moment, and no decision."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from ml.decisions.borrower_features import BorrowerFeatures
from serving.deployed.deployment_watch import DeploymentWatch
from serving.deployed.score_request import DECIDED_AT
from serving.http.body_schema import BodySchema, Field, invalid
from serving.http.clock import future_violation, utc_now
from serving.http.problems import InvalidRequest, Unavailable
from serving.http.wire import BorrowerRow, FeatureList
from serving.options import ServingOptions
from serving.telemetry.metrics import Metrics
from warehouse.decision_log.json_text import dump_values
from warehouse.errors import OnlineStoreUnavailable
from warehouse.online_store import OnlineStore


def features_request(most: int) -> BodySchema:
    """A list of borrowers, whose ids are validated one by one, so that a bad one affects no other."""
    ids = Field(
        name="borrower_ids",
        type=Annotated[list[Any], msgspec.Meta(min_length=1, max_length=most)],
        rule=f"a list of 1 to {most} ids",
        description="The borrowers, by the ids that score requests send.",
        example=["borrower-42", "borrower-43"],
    )
    at = replace(
        DECIDED_AT,
        description="The time that ages count to; the server's clock by default. Neither in the future nor before the "
        "history of a borrower, who then gets a problem.",
    )
    return BodySchema("FeaturesRequest", (ids, at))


class FeatureService:
    """Reads features with the current champions."""

    def __init__(
        self, *, deployments: DeploymentWatch, store: OnlineStore, metrics: Metrics, options: ServingOptions
    ) -> None:
        self._deployments = deployments
        self._store = store
        self._metrics = metrics
        self._policy = options.history
        self._schema = features_request(options.feature_borrowers)

    async def read(self, lender: str | None, body: Any) -> FeatureList:
        """The features of a lender's borrowers, or of the default one's.

        Raises UnknownLender, LenderNeeded, InvalidRequest for the request as a whole, and Unavailable without a served
        model or while the online store does not answer.
        """
        served = self._deployments.served(lender)
        try:
            request = self._schema.validate(body)
            given: datetime | None = request["decided_at"]
            violation = future_violation("decided_at", given, utc_now()) if given is not None else None
            if violation is not None:
                raise invalid((violation,))
        except InvalidRequest as problem:
            self._metrics.count_violations(served.lender, problem.violations, self._schema.fields)
            raise
        at = given or utc_now()
        try:
            found = await served.champion.borrowers.read(
                self._store, request["borrower_ids"], self._policy, at=at, is_given=given is not None
            )
        except OnlineStoreUnavailable as error:
            raise Unavailable(f"History cannot be looked up: {error}", retry_after_seconds=10) from error
        for row in found:
            self._metrics.borrower_features[served.lender, row.history or "refused"].inc()
            if row.problem is not None:
                self._metrics.count_violations(served.lender, row.problem.errors, ("borrower_id", "decided_at"))
        n_known, n_refused = (
            sum([getattr(row, name) is not None for row in found]) for name in ("features", "problem")
        )
        return FeatureList(
            lender=served.lender,
            model=served.champion.version,
            decided_at=at.replace(tzinfo=UTC),
            n_known=n_known,
            n_without_history=len(found) - n_known - n_refused,
            n_refused=n_refused,
            results=tuple(map(_row, found)),
        )


def _row(found: BorrowerFeatures) -> BorrowerRow:
    given = {name: value for name, value in msgspec.structs.asdict(found).items() if value is not None}
    # as the decision log writes them: infinity and NaN as texts, where JSON has neither
    given |= {name: msgspec.Raw(dump_values(given[name]).encode()) for name in ("features", "inputs") if name in given}
    return BorrowerRow(**given)
