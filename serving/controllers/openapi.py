"""The API description: Litestar writes it, the deployed contract adds the score request, Swagger UI shows it.

The page needs no network: its script and style come from the package ``swagger-ui-py``.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, cast

from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin, SwaggerRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    Link,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from litestar.types.internal_types import PathParameterDefinition

from ml.decisions.problems import ProblemDocument
from serving.access.guards import ANY, OPEN, SCOPE
from serving.http.problem_examples import problem_example
from serving.http.problems import Problem
from serving.http.response_headers import PAGE_POLICY

_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "ScoredApplication": {
        "decision_id": "01a1fbc7-10c9-764a-befc-bcb749407f00",
        "application_id": "app-2026-000123",
        "decided_at": "2026-01-31T09:30:00.123456Z",
        "probability": 0.2731,
        "band": "high",
        "decision": "decline",
        "reasons": [{"feature": "loan_to_income", "text": "The amount requested is high …", "contribution": 0.61}],
        "model": {"name": "default_risk_simulated", "version": 7, "feature_version": "v1"},
        "features_as_of": "2026-01-31T00:00:00Z",
        "status": "scored",
        "points": None,
        "warnings": [],
        "probability_low": 0.2644,
        "probability_high": 0.2817,
    },
    "FeatureList": {
        "lender": "simulated",
        "model": {"name": "default_risk_simulated", "version": 7, "feature_version": "v2"},
        "decided_at": "2026-01-31T09:30:00.123456Z",
        "n_known": 1,
        "n_without_history": 1,
        "n_refused": 1,
        "results": [
            {
                "index": 0,
                "borrower_id": "borrower-42",
                "history": "fresh",
                "as_of": "2026-01-31T00:00:00Z",
                "lake_snapshot": 118,
                "feature_version": "v2",
                "features": {"n_statements_6m": 6, "late_share_6m": 0.16666666666666666},
                "inputs": {"n_statements_6m": 6, "n_late_statements_6m": 1},
            },
            {"index": 1, "borrower_id": "borrower-43", "history": "unknown"},
            {
                "index": 2,
                "problem": {
                    "type": "urn:loanlake:problem:invalid-request",
                    "title": "Invalid request",
                    "status": 400,
                    "detail": "1 of the item's fields break their rules: borrower_id",
                    "errors": [
                        {
                            "field": "borrower_id",
                            "rule": "must be a text of 1 to 100 characters without control characters",
                            "found": 42,
                        }
                    ],
                },
            },
        ],
    },
}
LIST_DECISIONS, READ_DECISION, REPORT_OUTCOME = "listDecisions", "getDecision", "reportOutcome"
Cursor = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the previous answer.", min_length=1, max_length=400)
]
Limit = Annotated[int, QueryParameter(description="Maximum number of items.", ge=1, le=200)]
#: The lender that a path names; None on a short path, for the default lender.
LenderInPath = Annotated[
    str | None, PathParameter(description="The lender, one of those that `/readyz` names.", max_length=100)
]
#: From an answer with a decision id to that decision.
TO_DECISION = Link(
    operation_id=READ_DECISION,
    parameters={"decision_id": "$response.body#/decision_id"},
    description="The logged decision.",
)
#: From an answer with an application id to its outcome report.
TO_OUTCOME = Link(
    operation_id=REPORT_OUTCOME,
    request_body={"application_id": "$response.body#/application_id"},
    description="Report the outcome of the application when it is known.",
)
#: JSON Schemas that replace components of the same name.
LiveSchemas = Callable[[], dict[str, dict[str, Any]]]


def by_lender(path: str) -> list[str]:
    """A path under ``/v1`` for the default lender, and the same for any lender."""
    return [f"/{path}", f"/lenders/{{lender:str}}/{path}"]


def operation_of(name: str) -> Callable[[HTTPRouteHandler, object, Sequence[str | PathParameterDefinition]], str]:
    """The operation's name on its short path, and one for the path that names a lender."""

    def named(_handler: HTTPRouteHandler, _method: object, components: Sequence[str | PathParameterDefinition]) -> str:
        names_lender = any(getattr(component, "name", None) == "lender" for component in components)
        return f"{name}OfLender" if names_lender else name

    return named


def key_or_token(scope: str) -> list[dict[str, list[str]]]:
    """The credentials that a handler requires; ANY requires no scope."""
    roles = [] if scope == ANY else [scope]
    return [{"key": roles}, {"token": roles}]


def problems(
    *statuses: int, scope: str = OPEN, examples: Mapping[int, Problem] | None = None
) -> dict[int, ResponseSpec]:
    """The error answers of a handler, as problem documents; a handler that is not OPEN can also refuse the caller.

    ``examples``: the operation's own examples where they differ from the usual ones of a status.
    """
    descriptions = {status: HTTPStatus(status).phrase for status in statuses}
    if scope not in (OPEN, "metrics"):  # monitoring systems may send parameters of their own
        descriptions.setdefault(400, "Unknown query parameter")
    if scope != OPEN:
        descriptions[401] = "No valid key or token was sent"
        descriptions[429] = "The caller has reached their limit for this minute. Retry after the time in `Retry-After`"
        descriptions.setdefault(503, "Too many concurrent requests. Retry after the time in `Retry-After`")
    if scope not in (OPEN, ANY):
        descriptions[403] = f"The caller lacks the scope `{scope}`, or may not reach this lender"
    return {
        status: ResponseSpec(
            ProblemDocument,
            description=description,
            media_type="application/problem+json",
            generate_examples=False,
            examples=[Example(value=problem_example(status, scope=scope, own=examples or {}))],
        )
        for status, description in sorted(descriptions.items())
    }


def operation(takes: str | None = None, *texts: str, leads_to: Mapping[str, Link] | None = None) -> type[Operation]:
    """An operation that takes the live schema of that name, or text of these media types; handlers decode it.

    ``leads_to``: links to the operations that can follow.
    """

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            if takes is not None:
                content = {"application/json": OpenAPIMediaType(schema=Reference(ref=f"#/components/schemas/{takes}"))}
                content |= {text: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)) for text in texts}
                self.request_body = RequestBody(content=content, required=True)
            answer = (self.responses or {}).get("200")
            if leads_to and isinstance(answer, OpenAPIResponse):
                answer.links = dict(leads_to)

    return Described


def openapi_config(live_schemas: LiveSchemas, *, version: str, scope: str) -> OpenAPIConfig:
    """Description at ``/schema/openapi.json`` and ``.yaml``, page at ``/schema``, for callers with ``scope``."""
    return OpenAPIConfig(
        title="Loanlake",
        version=version,
        description="Default-risk scores. Each is stored before it is answered, and can be replayed from its id.",
        components=Components(
            security_schemes={
                "key": SecurityScheme(
                    type="http", scheme="bearer", description="An API key: `loanlake key create NAME` creates one"
                ),
                "token": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="A token of the configured identity provider",
                ),
            }
        ),
        tags=[
            Tag(name="Scores", description="Score applications"),
            Tag(name="Features", description="Read what is known of borrowers"),
            Tag(name="Batches", description="Score a file or a lake table in the background"),
            Tag(name="Decisions", description="Read logged decisions"),
            Tag(name="Outcomes", description="Report how applications ended"),
            Tag(name="Model", description="The served model and registered versions"),
            Tag(name="Health", description="For load balancers and monitoring"),
        ],
        use_handler_docstrings=True,
        render_plugins=[
            _Page(
                live_schemas,
                path="/swagger",
                js_url="/schema/assets/swagger-ui-bundle.js",
                css_url="/schema/assets/swagger-ui.css",
                standalone_preset_js_url="/schema/assets/swagger-ui-standalone-preset.js",
                favicon="<link rel='icon' href='data:,'>",
                media_type=MediaType.HTML,
            ),
            _Json(live_schemas),
            _Yaml(live_schemas),
        ],
        openapi_router=_Documentation(
            path="/schema",
            route_handlers=[asset],
            include_in_schema=False,
            opt={SCOPE: scope},
            response_headers={"Content-Security-Policy": PAGE_POLICY},
        ),
    )


@get("/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(name: FromPath[str]) -> Response[bytes]:
    """A file of Swagger UI, from its package."""
    if name not in _ASSETS:
        raise NotFoundException
    return Response(
        (_swagger_ui() / name).read_bytes(), media_type=_ASSETS[name], headers={"Cache-Control": "max-age=86400"}
    )


class _Documentation(Router):
    """Litestar's router for documentation, without its HTML page for unknown paths: these are problems here too."""

    def register(self, value: ControllerRouterHandler) -> list[Any]:
        if "/{path:str}" in getattr(value, "paths", ()):
            return []
        return list(super().register(value))


class _Live:
    """Inserts the deployed contract's schemas into the description before it is rendered."""

    def __init__(self, live_schemas: LiveSchemas, **options: Any):
        super().__init__(**options)
        self.live_schemas = live_schemas

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        document = deepcopy(openapi_schema)
        schemas = document["components"].setdefault("schemas", {})
        schemas |= self.live_schemas()
        for name, example in _EXAMPLES.items():
            schemas[name]["examples"] = [example]
        for header in _headers(document):
            header.setdefault("schema", {"type": "string"})
        return cast("OpenAPIRenderPlugin", super()).render(request, document)


def _headers(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The headers of all answers; Litestar leaves out what type they are."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                yield from answer.get("headers", {}).values()


class _Json(_Live, JsonRenderPlugin):
    pass


class _Yaml(_Live, YamlRenderPlugin):
    pass


class _Page(_Live, SwaggerRenderPlugin):
    @staticmethod
    def render_json(request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        # the description is inside a script element, which a "</script>" in a lender's texts would end
        return SwaggerRenderPlugin.render_json(request, openapi_schema).replace(b"</", b"<\\/")


def _swagger_ui() -> Path:
    # found, not imported: importing the package loads web framework adapters that are not needed
    spec = importlib.util.find_spec("swagger_ui")
    locations: Sequence[str] = (spec.submodule_search_locations or ()) if spec else ()
    for location in locations:
        return Path(location) / "static"
    raise NotFoundException("The page needs the package swagger-ui-py: install requirements.lock again")
