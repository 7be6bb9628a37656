"""Counts of calls on a Redis server, exact over all its machines."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from serving.overload.call_counts import WINDOW_SECONDS, CallCounts, Counted
from warehouse.online_store.redis_connection import RedisError, connect

if TYPE_CHECKING:
    from redis.commands.core import AsyncScript

log = logging.getLogger("loanlake.serving")

#: Opens and expires the window in one step, so that no count stays forever.
_COUNT = """
local n = redis.call('incr', KEYS[1])
if n == 1 then redis.call('pexpire', KEYS[1], ARGV[1]) end
return {n, redis.call('pttl', KEYS[1])}
"""
#: Pause after a server that did not answer: each try may delay a request by the whole time limit.
_PAUSE_SECONDS = 1.0
_WINDOW_MS = WINDOW_SECONDS * 1000


class RedisCounts:
    """Counts under ``<prefix>:calls:<caller>``; ``meanwhile`` counts while the server does not answer."""

    def __init__(self, url: str, *, prefix: str, timeout_seconds: float, meanwhile: CallCounts):
        self._url = url
        self._prefix = f"{prefix}:calls:".encode()
        self._timeout = timeout_seconds
        self._meanwhile = meanwhile
        self._client: Any = None
        self._script: AsyncScript | None = None
        self._next_try = 0.0

    async def count(self, caller: bytes) -> Counted:
        """See :class:`CallCounts`; one round trip."""
        if time.monotonic() < self._next_try:
            return await self._meanwhile.count(caller)
        try:
            async with asyncio.timeout(self._timeout):
                n, milliseconds = await self._counting()(keys=[self._prefix + caller.hex().encode()], args=[_WINDOW_MS])
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._next_try = time.monotonic() + _PAUSE_SECONDS
            log.warning("calls are counted by this machine alone", extra={"reason": type(error).__name__})
            return await self._meanwhile.count(caller)
        return Counted(n, milliseconds / 1000)

    async def close(self) -> None:
        """See :class:`CallCounts`."""
        if self._client is not None:
            await self._client.aclose()
            self._client = self._script = None
        await self._meanwhile.close()

    def _counting(self) -> "AsyncScript":
        # made by the first call: connections belong to the event loop that opened them
        if self._script is None:
            self._client = connect(self._url, timeout_seconds=self._timeout)
            self._script = self._client.register_script(_COUNT)
        return self._script
