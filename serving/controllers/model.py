"""``/v1/model``: the served model."""

from litestar import Controller, get
from litestar.di import NamedDependency

from serving.access.guards import ANY, SCOPE
from serving.controllers.openapi import key_or_token, problems
from serving.deployed.deployment_watch import DeploymentWatch
from serving.http.problem_examples import MODEL
from serving.http.wire import ModelDescription


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
