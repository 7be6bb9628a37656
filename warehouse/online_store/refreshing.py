"""Copy the lake's online models to the online store."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.errors import LakeError
from warehouse.files.turns import file_turn
from warehouse.online_store.interface import OnlineStore, WriteResult
from warehouse.online_store.opening import open_store
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb

BORROWERS = "features.ftr_online_borrowers"
COHORTS = "features.ftr_online_cohorts"
_ROWS_A_BATCH = 50_000


@dataclass(frozen=True)
class RefreshResult:
    """The result of a refresh; ``snapshot``: the lake snapshot that the store now mirrors."""

    borrowers: WriteResult
    cohorts: WriteResult
    snapshot: int
    seconds: float


def refresh(settings: Settings, *, anew: bool = False) -> RefreshResult:
    """Make the online store mirror the lake's current online models.

    Writes only changed records, and deletes borrowers and cohorts that the lake no longer has. Takes no writer lease:
    it reads one snapshot, the newest when its turn comes. Repeating an interrupted refresh continues it. ``anew``
    writes all records to a new store that replaces the old one and all bytes of deleted records. Raises LakeError if
    dbt has not built the models, OnlineStoreUnavailable if the store does not answer.
    """
    from warehouse.lake.connection import connect

    started = time.monotonic()
    store = open_store(settings)
    with _turn(settings), closing(connect(settings)) as con:
        return _refreshed(con, store, started, anew=anew)


@contextmanager
def _turn(settings: Settings) -> Iterator[None]:
    """One refresh of a home at a time, lake read included: a waiting one with an older snapshot would restore it."""
    with file_turn(settings.online_store.with_name(f".{settings.online_store.name}.lock")):
        yield


def _refreshed(con: "duckdb.DuckDBPyConnection", store: OnlineStore, started: float, *, anew: bool) -> RefreshResult:
    import duckdb

    from warehouse.lake.connection import current_snapshot

    try:
        con.execute("begin transaction")  # both tables from one snapshot
        snapshot = current_snapshot(con)
        with store.anew() if anew else nullcontext(store) as target:
            borrowers = con.execute(f"select * from {BORROWERS} order by source, borrower_id")
            n_borrowers = target.write("borrowers", borrowers.to_arrow_reader(_ROWS_A_BATCH), snapshot=snapshot)
            cohorts = con.execute(f"select * from {COHORTS} order by source, segment, segment_value")
            n_cohorts = target.write("cohorts", cohorts.to_arrow_reader(_ROWS_A_BATCH), snapshot=snapshot)
    except duckdb.CatalogException as error:
        raise LakeError(
            f"the lake has no {BORROWERS} or {COHORTS}: run `dbt build` (or `loanlake run`) first"
        ) from error
    return RefreshResult(n_borrowers, n_cohorts, snapshot, time.monotonic() - started)
