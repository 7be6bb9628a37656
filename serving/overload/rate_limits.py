"""Requests a minute for each caller and lender, reported in the headers of every answer.

Headers of the IETF draft "RateLimit header fields for HTTP": ``RateLimit-Policy`` is the rule, ``RateLimit`` the rest
and when the next minute begins.
"""

import logging
import math
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from litestar.datastructures import ResponseHeader
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Scope
from litestar.types.asgi_types import HTTPResponseStartEvent

from serving.access.caller import Caller
from serving.http.problems import TooManyRequests
from serving.overload.call_counts import CALLER_BYTES, WINDOW_SECONDS, CallCounts, MachineCounts
from warehouse.settings import Settings

log = logging.getLogger("loanlake.serving")

#: For the description of every answer to a caller.
DOCUMENTED_HEADERS = (
    ResponseHeader(
        name="RateLimit-Policy",
        description=f'Requests (`q`) that the caller may send in `w` seconds: `"caller";q=100;w={WINDOW_SECONDS}`',
        documentation_only=True,
    ),
    ResponseHeader(
        name="RateLimit",
        description='Requests left (`r`), and the seconds until all are there again (`t`): `"caller";r=42;t=17`',
        documentation_only=True,
    ),
)
_STATE = "loanlake_rate_limit"


def open_counts(settings: Settings) -> CallCounts:
    """The counts of a home: in Redis where ``LOANLAKE_REDIS_URL`` is set, else in a file of the home."""
    machine = MachineCounts(settings.call_counts)
    if settings.redis_url is None:
        return machine
    from serving.overload.redis_counts import RedisCounts  # redis is an extra

    return RedisCounts(
        settings.redis_url,
        prefix=settings.redis_prefix,
        timeout_seconds=settings.redis_timeout_seconds,
        meanwhile=machine,
    )


class RateLimit:
    """A guard behind :class:`serving.access.guards.Authentication`: counts each authenticated request.

    One lender's rush leaves a caller's limit for the others whole. ``counted_lender``: whose count a path adds to.
    """

    def __init__(self, counts: CallCounts, *, default: int, counted_lender: Callable[[str | None], str]):
        self._counts = counts
        self._default = default
        self._counted_lender = counted_lender

    async def __call__(self, scope: Scope, handler: BaseRouteHandler) -> None:
        """Raise TooManyRequests if the caller has reached their limit."""
        caller: Caller | None = scope.get("auth")
        if caller is not None:
            await self.count(scope, caller, scope["path_params"].get("lender"))

    async def count(self, scope: Scope, caller: Caller, lender: str | None) -> None:
        """Count a request for the lender that its path names; raises as a call."""
        try:
            counted = await self._counts.count(_bytes(caller.caller_id, self._counted_lender(lender)))
        except OSError as error:
            # a failing count must not stop a lender's decisions
            log.warning("calls cannot be counted, so none is refused", extra={"error": str(error)})
            return
        limit, seconds = caller.rate_limit or self._default, math.ceil(counted.seconds_left)
        scope["state"][_STATE] = [
            (b"ratelimit-policy", b'"caller";q=%d;w=%d' % (limit, WINDOW_SECONDS)),
            (b"ratelimit", b'"caller";r=%d;t=%d' % (max(0, limit - counted.n), seconds)),
        ]
        if counted.n > limit:
            raise TooManyRequests(
                f"{limit} requests a minute are allowed; send the next in {seconds} s", retry_after_seconds=seconds
            )


def add_rate_limit(message: HTTPResponseStartEvent, scope: Scope) -> None:
    """Add the rate limit to an answer, also to a refusal."""
    found = scope["state"].get(_STATE)
    if found is not None:
        message["headers"] = [*message["headers"], *found]


@lru_cache(maxsize=1024)
def _bytes(caller_id: str, lender: str) -> bytes:
    # hashed for its length, and because a token's subject may name a person
    return blake2b(f"{lender}\n{caller_id}".encode(), digest_size=CALLER_BYTES).digest()
