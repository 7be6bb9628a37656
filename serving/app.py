"""The application: builds every service once, hands them to the controllers, starts and stops what runs beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Router, get
from litestar.di import Provide
from litestar.response import Redirect

from serving import problems
from serving.access import ANY, OPEN, SCOPE, Authentication, require_scope
from serving.controllers.decisions import DecisionsController
from serving.controllers.health import HealthController, metrics_page
from serving.controllers.model import ModelController
from serving.controllers.outcomes import OutcomesController
from serving.controllers.scores import ScoresController
from serving.deployment_watch import DeploymentWatch
from serving.keys import KeyRing, KeyStore
from serving.metrics import Metrics, StartTime
from serving.openapi import openapi_config
from serving.options import ServingOptions
from serving.outbox import Outbox
from serving.outcome_report import OUTCOME_REPORT, OutcomeService
from serving.readiness import ReadinessCheck
from serving.scoring import ScoringService
from serving.shadow import ShadowScorer
from warehouse.online_store import open_store
from warehouse.settings import Settings


def create_app(settings: Settings | None = None, options: ServingOptions | None = None) -> Litestar:
    """The API over one home; starts without a model, and serves one as soon as it is deployed."""
    settings = settings or Settings.from_environment()
    options = options or ServingOptions.from_environment()

    metrics = Metrics()
    deployments = DeploymentWatch(settings)
    store = open_store(settings)
    outbox = Outbox(settings, metrics=metrics, most_waiting=options.waiting_decisions)
    shadows = ShadowScorer(outbox=outbox, metrics=metrics)
    scoring = ScoringService(
        deployments=deployments,
        store=store,
        outbox=outbox,
        shadows=shadows,
        metrics=metrics,
        batch_rows=options.batch_rows,
        history_policy=options.history,
    )
    outcomes = OutcomeService(deployments=deployments, outbox=outbox)
    readiness = ReadinessCheck(deployments=deployments, store=store, outbox=outbox, history_policy=options.history)
    authentication = Authentication(KeyRing(KeyStore(settings.keys), poll_seconds=options.poll_seconds))
    services = {
        "deployments": deployments,
        "scoring": scoring,
        "outbox": outbox,
        "outcomes": outcomes,
        "readiness": readiness,
        "metrics": metrics,
    }

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        await deployments.look()
        await outbox.check()
        watching = asyncio.create_task(_watch(deployments, options.poll_seconds))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await shadows.close()
            await outbox.close()
            await store.close()

    docs_scope = ANY if options.docs_need_key else OPEN
    metrics_scope = "metrics" if options.metrics_need_key else OPEN
    return Litestar(
        route_handlers=[
            ScoresController,
            DecisionsController,
            OutcomesController,
            ModelController,
            HealthController,
            Router(path="/", route_handlers=[metrics_page], opt={SCOPE: metrics_scope}),
            Router(path="/", route_handlers=[to_the_page], opt={SCOPE: docs_scope}),
        ],
        dependencies={name: Provide(_always(service), sync_to_thread=False) for name, service in services.items()},
        guards=[authentication, require_scope],
        lifespan=[running],
        middleware=[StartTime()],
        before_send=[metrics.count_response],
        plugins=[problems.plugin()],
        openapi_config=openapi_config(
            lambda: _live_schemas(deployments, options.batch_rows), version=version("loanlake"), scope=docs_scope
        ),
        request_max_body_size=options.body_bytes,
        logging_config=None,  # serving.logs sets handlers up; the problems plugin logs what is unexpected
        debug=False,
    )


@get("/", include_in_schema=False, sync_to_thread=False)
def to_the_page() -> Redirect:
    """Send a browser to the page about the API."""
    return Redirect("/schema")


async def _watch(deployments: DeploymentWatch, poll_seconds: float) -> None:
    while True:
        await asyncio.sleep(poll_seconds)
        await deployments.look()


def _always(service: Any) -> Callable[[], Any]:
    return lambda: service


def _live_schemas(deployments: DeploymentWatch, batch_rows: int) -> dict[str, dict[str, Any]]:
    served = deployments.deployment
    one = served.request_schema.json_schema() if served else {"type": "object", "description": "No model is deployed."}
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": batch_rows,
        "items": {"$ref": "#/components/schemas/ScoreRequest"},
    }
    batch = {
        "type": "object",
        "properties": {"applications": rows},
        "required": ["applications"],
        "additionalProperties": False,
    }
    return {"ScoreRequest": one, "BatchRequest": batch, "OutcomeReport": OUTCOME_REPORT.json_schema()}
