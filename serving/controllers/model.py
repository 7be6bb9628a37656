"""``/v1/model``: what scores now."""

from litestar import Controller, get
from litestar.di import NamedDependency

from serving.access import SCOPE
from serving.deployment_watch import DeploymentWatch
from serving.openapi import KEY_REQUIRED, problems
from serving.wire import ModelDescription


class ModelController(Controller):
    """Describe what is being served."""

    path = "/v1/model"
    tags = ("Model",)
    opt = {SCOPE: "any"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = KEY_REQUIRED

    @get(sync_to_thread=False, responses=problems(401, 503))
    def model(self, deployments: NamedDependency[DeploymentWatch]) -> ModelDescription:
        """The champion, and a challenger on trial: version, since when, how well it did, and the inputs they take."""
        return deployments.served().description
