"""Connections of the request path to the Redis server that ``LOANLAKE_REDIS_URL`` names."""

from warehouse.errors import SettingError

try:
    import redis.asyncio
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.retry import Retry
except ImportError as error:
    raise SettingError(
        "LOANLAKE_REDIS_URL is set, which needs the package redis: install loanlake with the extra 'team'"
    ) from error

__all__ = ["RedisError", "connect", "redis"]

#: Concurrent commands of one client; more wait, within their time limit.
_CONNECTIONS = 64


def connect(url: str, *, timeout_seconds: float) -> redis.asyncio.Redis:
    """A client of the running event loop; its commands time out after ``timeout_seconds``."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        # once, not after a time-out: for a connection that the server closed while it was idle
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return redis.asyncio.Redis.from_pool(pool)
