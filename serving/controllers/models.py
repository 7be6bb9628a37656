"""``/v1/model``: the served model. ``/v1/models``: registered versions, and their approval by a person."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from serving.access.guards import ANY, SCOPE, caller
from serving.controllers.openapi import key_or_token, operation, problems
from serving.deployed.approvals import ApprovalService
from serving.deployed.deployment_watch import DeploymentWatch
from serving.http.json_body import read_json
from serving.http.problem_examples import APPROVAL, MODEL, VERSIONS
from serving.http.wire import ApprovalReceipt, ModelDescription, ModelVersions

Source = Annotated[
    str | None,
    QueryParameter(
        description="The lender of the model. Default: the lender that is served, or LOANLAKE_SOURCE.", max_length=100
    ),
]


class ModelController(Controller):
    """Describe the served model."""

    path = "/v1/model"
    tags = ("Model",)
    opt = {SCOPE: ANY}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token(ANY)

    @get(
        sync_to_thread=False,
        summary="Get the served model",
        operation_id="getModel",
        responses=problems(503, scope=ANY, examples=MODEL),
    )
    def model(self, deployments: NamedDependency[DeploymentWatch]) -> ModelDescription:
        """The champion, and its challenger if there is one: version, start of service, test metrics, and inputs."""
        return deployments.served().description


class ModelsController(Controller):
    """Report the state of versions, and accept approvals."""

    path = "/v1/models"
    tags = ("Model",)
    opt = {SCOPE: "approve"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("approve")

    @get(
        summary="List model versions",
        operation_id="listModelVersions",
        responses=problems(400, 404, 503, scope="approve", examples=VERSIONS),
    )
    async def versions(self, approvals: NamedDependency[ApprovalService], source: Source = None) -> ModelVersions:
        """Every registered version, newest first: its state, gates and approval."""
        return await approvals.versions(source)

    @post(
        "/{version:int}/approval",
        summary="Approve a model version",
        operation_id="approveModelVersion",
        status_code=202,
        operation_class=operation("ApprovalRequest"),
        responses={
            200: ResponseSpec(
                ApprovalReceipt,
                description="It was approved before; that approval stays valid",
                generate_examples=False,
            ),
            **problems(400, 404, 408, 409, 413, 415, 503, scope="approve", examples=APPROVAL),
        },
    )
    async def approve(
        self,
        version: FromPath[int],
        request: Request[Any, Any, Any],
        approvals: NamedDependency[ApprovalService],
        source: Source = None,
    ) -> Response[ApprovalReceipt]:
        """Approve a version. The approval is stored before the answer; then Dagster serves the version."""
        body = await read_json(request)
        receipt, is_new = await approvals.approve(version, body, source=source, by=caller(request).signature)
        return Response(receipt, status_code=202 if is_new else 200)
