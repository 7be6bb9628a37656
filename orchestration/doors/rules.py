"""Which requests may pass: pure rules over the request.

Browsers send a person's cookie with requests from other sites, and a foreign name server may point a site's name at
127.0.0.1. So the request must also name this machine (``Host``), come from the page itself (``Origin``,
``Sec-Fetch-Site``), and change things only by a JSON POST, which other sites cannot send.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection

#: Names of this machine alone; any port, since an SSH tunnel may end at another one.
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_READING = frozenset({"GET", "HEAD"})
#: MLflow's searches by POST; its GraphQL can only search too.
_MLFLOW_READS = re.compile(
    r"/graphql|/(?:ajax-)?api/[23]\.0/mlflow/"
    r"(?:[a-z-]+/(?:search|search-datasets|get-latest-versions)|traces/(?:batchGetInfos|metrics))"
)


@dataclass(frozen=True)
class Refusal:
    """Why a request is not passed on: an HTTP status, and a message for the caller."""

    status: int
    reason: str


#: What one page refuses besides the common rules; None to pass.
PageRule = Callable[[HTTPConnection], Refusal | None]


def refused_origin(request: HTTPConnection) -> Refusal | None:
    """Refuse a foreign ``Host`` (DNS rebinding), a foreign ``Origin``, and what another site embeds or fetches."""
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or re.sub(r":\d+$", "", hosts[0]) not in _LOCAL_NAMES:
        return Refusal(403, f"Host must be 127.0.0.1 or localhost: found {', '.join(hosts) or 'none'}.")
    origins = request.headers.getlist("origin")
    if any(origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}") for origin in origins):
        return Refusal(403, f"Origin must be this page's own: found {', '.join(origins)}.")
    site = request.headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none") and not _opens_a_page(request):
        return Refusal(403, f"Another site may link to this page, and nothing else: found Sec-Fetch-Site {site}.")
    if any(part in (".", "..") for part in request.scope["path"].split("/")):
        return Refusal(400, "The path must not contain . or .. as a part.")
    return None


def refused_method(request: HTTPConnection) -> Refusal | None:
    """Refuse every change except a JSON POST from the page itself, and WebSockets without an origin."""
    if request.scope["type"] == "websocket":
        return None if "origin" in request.headers else Refusal(403, "A WebSocket must name its Origin.")
    method = request.scope["method"]
    if method in _READING:
        return None
    if method != "POST":
        return Refusal(405, f"GET, HEAD and POST are allowed here: found {method}.")
    types = request.headers.getlist("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, f"Content-Type must be application/json: found {', '.join(types) or 'none'}.")
    if "origin" not in request.headers:
        return Refusal(403, "A POST must name its Origin: browsers do.")
    return None


def dagster_rule(request: HTTPConnection) -> Refusal | None:
    """Dagster's GraphQL also runs mutations sent by GET, so no operation is accepted in a query string."""
    if request.scope["type"] == "websocket":
        return None
    asked = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if "graphql" in request.scope["path"].lower() and "query" in asked:
        return Refusal(405, "GraphQL is accepted as a JSON POST, not in the address.")
    return None


def mlflow_rule(request: HTTPConnection) -> Refusal | None:
    """MLflow is read-only: only `loanlake` changes what it shows of models (bundles, tags, aliases)."""
    if request.scope["type"] == "websocket":
        return Refusal(403, "MLflow has no WebSocket here.")
    if request.scope["method"] in _READING or _MLFLOW_READS.fullmatch(request.scope["path"]):
        return None
    return Refusal(
        403,
        "MLflow is read-only here. Models are changed by `loanlake model promote`, `approve` and `archive`; a program "
        "logs runs of its own to the home's store: docs/interfaces.md.",
    )


def reading_only(request: HTTPConnection) -> Refusal | None:
    """Files can be read; nothing else."""
    if request.scope["type"] == "websocket" or request.scope["method"] not in _READING:
        return Refusal(405, "Only GET and HEAD are allowed here.")
    return None


def _opens_a_page(request: HTTPConnection) -> bool:
    """Whether a person followed a link: a read that replaces the window's page, not an image, frame or fetch."""
    return (
        request.scope["type"] == "http"
        and request.scope["method"] in _READING
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )
