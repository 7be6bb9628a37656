"""``/v1/features``: what is known of many borrowers, for systems that decide elsewhere."""

from typing import Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency

from serving.access.guards import BY_LENDER, SCOPE
from serving.controllers.openapi import LenderInPath, by_lender, key_or_token, operation, operation_of, problems
from serving.features.lookup import FeatureService
from serving.http.json_body import read_json
from serving.http.wire import FeatureList


class FeaturesController(Controller):
    """Read features of borrowers from the online store."""

    path = "/v1"
    tags = ("Features",)
    opt = {SCOPE: "features", BY_LENDER: True}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("features")

    @post(
        by_lender("features"),
        status_code=200,
        summary="Read features of borrowers",
        operation_id=operation_of("readFeatures"),
        operation_class=operation("FeaturesRequest"),
        responses=problems(400, 404, 408, 413, 415, 503, scope="features"),
    )
    async def read(
        self,
        request: Request[Any, Any, Any],
        features: NamedDependency[FeatureService],
        lender: LenderInPath = None,
    ) -> FeatureList:
        """The features of many borrowers by id, as a score of the same moment would read them. No decision is made.

        An id that cannot be read gets a problem, an unknown one is named as unknown; the others get their values.
        """
        return await features.read(lender, await read_json(request))
