"""``/healthz``, ``/readyz`` and ``/metrics``: for load balancers and monitoring."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from serving.access.guards import OPEN, SCOPE
from serving.controllers.openapi import problems
from serving.health.observation import Observation
from serving.health.readiness import ReadinessCheck
from serving.http.wire import Liveness, Readiness
from serving.telemetry.metrics import CONTENT_TYPE, Metrics


class HealthController(Controller):
    """Report whether the process is alive, and whether it can score."""

    tags = ("Health",)
    opt = {SCOPE: OPEN}  # noqa: RUF012 - Litestar reads it as a class attribute

    @get("/healthz", sync_to_thread=False, summary="Check liveness", operation_id="checkLiveness")
    def alive(self) -> Liveness:
        """Whether the process answers. It does not say whether it can score."""
        return Liveness()

    @get(
        "/readyz",
        summary="Check readiness",
        operation_id="checkReadiness",
        responses={503: ResponseSpec(Readiness, description="The API cannot score", generate_examples=False)},
    )
    async def ready(self, readiness: NamedDependency[ReadinessCheck]) -> Response[Readiness]:
        """200 if the API can score, with reasons if it is degraded; 503 with reasons if it cannot."""
        found = await readiness.check()
        return Response(found, status_code=503 if found.status == "unavailable" else 200)


@get(
    "/metrics",
    tags=["Health"],
    summary="Read metrics",
    operation_id="readMetrics",
    media_type="text/plain",
    responses=problems(scope="metrics"),  # where LOANLAKE_METRICS=key
)
async def metrics_page(metrics: NamedDependency[Metrics], observation: NamedDependency[Observation]) -> Response[bytes]:
    """Metrics in Prometheus text format."""
    return Response(metrics.exposition(await observation.told()), headers={"Content-Type": CONTENT_TYPE})
