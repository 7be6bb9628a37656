"""``OPTIONS``, answered with all methods of a path; Litestar's own answer has only the first handler's."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send


class AllowedMethods(ASGIMiddleware):
    """Runs behind the guards: a caller without access learns no methods."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer OPTIONS; pass on other requests."""
        if scope.get("method") != "OPTIONS":
            await next_app(scope, receive, send)
            return
        methods = scope["litestar_app"].route_handler_method_map[scope["path_template"]]
        allowed = ", ".join(sorted(str(method) for method in methods)).encode()
        await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allowed)]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
