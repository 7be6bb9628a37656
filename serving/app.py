"""The application: routes, guards and limits around the services."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import (
    BeforeMessageSendHookHandler,
    ControllerRouterHandler,
    HTTPScope,
    LifeSpanScope,
    Message,
    Scope,
)
from litestar.types.asgi_types import HTTPResponseStartEvent

from serving.access.guards import ANY, OPEN, SCOPE, Authentication, BoundLenders, Guards, require_scope
from serving.access.keys import KeyRing, KeyStore
from serving.batches.body import TABLE_SCHEMA
from serving.controllers.batches import BatchesController
from serving.controllers.decisions import DecisionsController, OutcomesController
from serving.controllers.features import FeaturesController
from serving.controllers.health import HealthController, metrics_page
from serving.controllers.models import ModelController, ModelsController
from serving.controllers.openapi import openapi_config
from serving.controllers.scores import ScoresController
from serving.decisions.outcome_report import OUTCOME_REPORT
from serving.deployed.approvals import APPROVAL_REQUEST
from serving.deployed.deployment_watch import DeploymentWatch
from serving.deployed.served_model import ServedDeployment
from serving.features.lookup import features_request
from serving.http import problems
from serving.http.allowed_methods import AllowedMethods
from serving.http.query_names import require_known_parameters
from serving.http.response_headers import add_security_headers
from serving.options import ServingOptions
from serving.overload.load_shedding import RequestsAtOnce
from serving.overload.rate_limits import DOCUMENTED_HEADERS, RateLimit, add_rate_limit, open_counts
from serving.page.controller import PageController
from serving.page.figure_controller import FigureController
from serving.scoring.plain_scores import PlainScores
from serving.services import build_services
from serving.telemetry.request_log import RequestLog
from serving.telemetry.request_trace import REQUEST_ID_HEADER, Traced
from warehouse.settings import Settings

if TYPE_CHECKING:
    from serving.access.tokens import TokenVerifier


class ScoringApp(Litestar):
    """Litestar behind :class:`PlainScores`, which answers ordinary score requests itself."""

    def __init__(self, plain_scores: PlainScores, **options: Any):
        super().__init__(**options)
        self.plain_scores = plain_scores

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == ScopeType.HTTP:
            await self.plain_scores.handle(scope, receive, send, super().__call__)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None, options: ServingOptions | None = None) -> ScoringApp:
    """The API over one home; starts without a model, and serves each deployment."""
    settings = settings or Settings.from_environment()
    options = options or ServingOptions.from_environment()
    services = build_services(settings, options)
    counts = open_counts(settings)
    ring = KeyRing(KeyStore.of(settings), poll_seconds=options.poll_seconds)
    authentication = Authentication(ring, _token_verifier(options))
    rate_limit = RateLimit(counts, default=options.rate_limit, counted_lender=services.deployments.counted)
    bound = BoundLenders(lambda: services.deployments.default)
    guards = Guards(authentication, rate_limit, require_scope, bound, require_known_parameters)
    request_log = RequestLog(services.metrics, logs_all=options.logs_all_requests, slow_seconds=options.slow_seconds)
    finish = partial(_finish, request_log)
    at_once = RequestsAtOnce(options.requests_at_once)
    docs_scope = ANY if options.docs_need_key else OPEN
    schemas = partial(_live_schemas, services.deployments, options)
    plain_scores = PlainScores(
        services.scoring,
        authentication=authentication,
        bound=bound,
        rate_limit=rate_limit,
        at_once=at_once,
        finish=finish,
        most_bytes=options.body_bytes,
    )
    return ScoringApp(
        plain_scores,
        route_handlers=_routes(options),
        dependencies={
            field.name: Provide(_always(getattr(services, field.name)), sync_to_thread=False)
            for field in fields(services)
        },
        lifespan=[lambda _: services.running(options.poll_seconds)],
        # requests rejected under overload are not traced
        middleware=[at_once, Traced(), guards],
        before_send=[_before_send(finish)],
        cors_config=_cors(options.cors_origins),
        response_headers=[*DOCUMENTED_HEADERS, REQUEST_ID_HEADER],
        on_shutdown=[counts.close, ring.close],
        plugins=[problems.plugin(settings.home)],
        openapi_config=openapi_config(schemas, version=version("loanlake"), scope=docs_scope),
        request_max_body_size=options.body_bytes,
        logging_config=None,  # serving.telemetry.logs configures handlers; the problems plugin logs unexpected errors
        debug=False,
    )


def _finish(request_log: RequestLog, message: HTTPResponseStartEvent, scope: HTTPScope) -> None:
    """Count an answer and complete its headers."""
    request_log(message, scope)
    add_rate_limit(message, scope)
    add_security_headers(message, scope)


def _before_send(finish: Callable[[HTTPResponseStartEvent, HTTPScope], None]) -> BeforeMessageSendHookHandler:
    """Litestar's hook before every message sent; one in place of three, each of which would be awaited twice."""

    async def hook(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start" and scope["type"] == ScopeType.HTTP:
            finish(message, scope)

    return hook


def _routes(options: ServingOptions) -> Sequence[ControllerRouterHandler]:
    metrics_scope = "metrics" if options.metrics_need_key else OPEN
    return [
        ScoresController,
        Router(
            path="/",
            route_handlers=[BatchesController],
            request_max_body_size=options.batch_bytes,
            middleware=[AllowedMethods()],  # for paths with several methods; scores do without
        ),
        FeaturesController,
        DecisionsController,
        OutcomesController,
        ModelController,
        ModelsController,
        HealthController,
        PageController,
        FigureController,
        Router(path="/", route_handlers=[metrics_page], opt={SCOPE: metrics_scope}),
    ]


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    """Allows pages of other sites to call the API with a key."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-ID", "traceparent"],
        expose_headers=["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID", "traceparent"],
    )


def _token_verifier(options: ServingOptions) -> "TokenVerifier | None":
    if options.tokens is None:
        return None
    # 0.13 s of start, only if tokens are accepted
    from serving.access.tokens import TokenVerifier

    return TokenVerifier(options.tokens, poll_seconds=options.poll_seconds)


def _always(service: Any) -> Callable[[], Any]:
    return lambda: service


def _live_schemas(deployments: DeploymentWatch, options: ServingOptions) -> dict[str, dict[str, Any]]:
    fixed = {schema.name: schema.json_schema() for schema in (OUTCOME_REPORT, APPROVAL_REQUEST)}
    return {
        **_score_requests(deployments.all_served()),
        "FeaturesRequest": features_request(options.feature_borrowers).json_schema(),
        "ScoreListRequest": _list_of_applications(options.batch_rows),
        "BatchRequest": {"oneOf": [_list_of_applications(options.queued_batch_rows), TABLE_SCHEMA.json_schema()]},
        **fixed,
    }


def _score_requests(served: Sequence[ServedDeployment]) -> dict[str, dict[str, Any]]:
    """The fields of an application; of several lenders, one schema each."""
    if not served:
        return {"ScoreRequest": {"type": "object", "description": "No model is deployed."}}
    if len(served) == 1:
        return {"ScoreRequest": served[0].request_schema.json_schema()}
    of_lenders = {f"ScoreRequest.{each.lender}": each.request_schema.json_schema() for each in served}
    listed = [{"$ref": f"#/components/schemas/{name}"} for name in of_lenders]
    return {
        "ScoreRequest": {"anyOf": listed, "description": "The fields of the lender that the path names."}
    } | of_lenders


def _list_of_applications(most_rows: int) -> dict[str, Any]:
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": most_rows,
        # an invalid item gets its own problem beside the other scores
        "items": {"anyOf": [{"$ref": "#/components/schemas/ScoreRequest"}, {}]},
    }
    return {
        "type": "object",
        "properties": {"applications": rows},
        "required": ["applications"],
        "additionalProperties": False,
    }
