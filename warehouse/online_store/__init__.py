"""The online store: current history and cohort inputs of borrowers, for the request path.

::

    open_store(settings)     LMDB in the home; Redis if LOANLAKE_REDIS_URL is set
    OnlineStore              the interface of both: the request path reads, a refresh writes
    refresh(settings)        features.ftr_online_borrowers and ftr_online_cohorts of the lake → the store

Any number of API processes read during a refresh, and see new values at their next look-up.
"""

from warehouse.online_store.interface import OnlineStore, WriteResult
from warehouse.online_store.records import Freshness, Record, RecordKey, borrower_key, cohort_key
from warehouse.online_store.refreshing import RefreshResult, open_store, refresh

__all__ = [
    "Freshness",
    "OnlineStore",
    "Record",
    "RecordKey",
    "RefreshResult",
    "WriteResult",
    "borrower_key",
    "cohort_key",
    "open_store",
    "redis_connection",
    "refresh",
    "refreshing",
]
