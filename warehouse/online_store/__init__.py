"""The online store: what history and cohort features of a borrower are now, in an embedded LMDB for the request path.

``refresh`` copies ``features.ftr_online_borrowers`` and ``features.ftr_online_cohorts`` from the lake into it; any
number of API processes read it meanwhile and see new values at their next look-up, without reopening.
"""

from warehouse.online_store.records import Record
from warehouse.online_store.refreshing import RefreshResult, refresh
from warehouse.online_store.store import OnlineStore
from warehouse.online_store.writing import WriteResult, write_borrowers, write_cohorts

__all__ = [
    "OnlineStore",
    "Record",
    "RefreshResult",
    "WriteResult",
    "refresh",
    "write_borrowers",
    "write_cohorts",
]
