"""Refuse unknown query parameters, so that a misspelt one is not ignored."""

from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.types import Scope

from serving.http.body_schema import not_a_field
from serving.http.problems import InvalidRequest

_API = "/v1/"


async def require_known_parameters(scope: Scope, handler: BaseRouteHandler) -> None:
    """Raise InvalidRequest for each unknown or repeated parameter under ``/v1``."""
    sent = scope["query_string"]
    if not sent or scope.get("method") == "OPTIONS" or not scope["path"].startswith(_API):
        return
    known = query_names(handler)
    names = [name for name, _ in parse_qsl(sent.decode("latin-1"), keep_blank_values=True)]
    unknown = tuple(dict.fromkeys(name for name in names if name not in known))
    violations = tuple(not_a_field(name, known, of="parameter of this path") for name in unknown[:20])
    if violations:
        shown = ", ".join(violation.field for violation in violations)
        takes = ", ".join(known) or "none"
        raise InvalidRequest(f"Unknown query parameters: {shown}. This path has: {takes}", violations)
    twice = [name for name in known if names.count(name) > 1]
    if twice:
        raise InvalidRequest(f"Send each query parameter once: {', '.join(twice)}")


@cache
def query_names(handler: BaseRouteHandler) -> tuple[str, ...]:
    """The names of a handler's query parameters, from its signature."""
    hints: dict[str, Any] = get_type_hints(handler.fn, include_extras=True)
    return tuple(
        parameter.name or name
        for name, hint in hints.items()
        if get_origin(hint) is Annotated
        for parameter in get_args(hint)[1:]
        if isinstance(parameter, QueryParameter)
    )
