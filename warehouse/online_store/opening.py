"""Choose the store of a home by its settings."""

from warehouse.online_store.interface import OnlineStore
from warehouse.settings import Settings


def open_store(settings: Settings) -> OnlineStore:
    """LMDB in the home, or Redis if ``LOANLAKE_REDIS_URL`` is set; raises SettingError without its client."""
    if settings.redis_url is not None:
        from warehouse.online_store.redis_store import RedisStore

        return RedisStore(
            settings.redis_url,
            prefix=settings.redis_prefix,
            timeout_seconds=settings.redis_timeout_seconds,
            turn_seconds=settings.lease_seconds,
        )
    from warehouse.online_store.lmdb_store import LmdbStore

    return LmdbStore(settings.online_store)
