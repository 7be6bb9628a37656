"""Headers of every answer: no type guessing, caching, or framing by other sites."""

from litestar.types import Scope
from litestar.types.asgi_types import HTTPResponseStartEvent

#: For the API description's page, whose script and style are local.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_UNLESS_SET = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_OVER_TLS = (b"strict-transport-security", b"max-age=31536000")


def add_security_headers(message: HTTPResponseStartEvent, scope: Scope) -> None:
    """Add them to an answer."""
    headers = [*message["headers"], *_ALWAYS]
    names = {name for name, _ in headers}
    headers += [header for header in _UNLESS_SET if header[0] not in names]
    if scope.get("scheme") == "https":
        headers.append(_OVER_TLS)
    message["headers"] = headers
