"""From the lake's online models to the online store."""

import time
from contextlib import nullcontext
from dataclasses import dataclass

from warehouse.errors import LakeError
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.opening import open_store
from warehouse.settings import Settings

BORROWERS = "features.ftr_online_borrowers"
COHORTS = "features.ftr_online_cohorts"
_ROWS_A_BATCH = 50_000


@dataclass(frozen=True)
class RefreshResult:
    """What a refresh did; ``snapshot`` is the lake snapshot that the store now mirrors."""

    borrowers: WriteResult
    cohorts: WriteResult
    snapshot: int
    seconds: float


def refresh(settings: Settings, *, anew: bool = False) -> RefreshResult:
    """Make the online store mirror the lake's online models as they are now.

    Only changed records are written, and borrowers and cohorts that the lake no longer has are deleted. Takes no writer
    lease: it reads one snapshot of the lake. Raises LakeError where dbt has not built the models yet, and
    OnlineStoreUnavailable where the store does not answer; a refresh that is begun again goes on where it stopped.
    ``anew`` writes every record to a store that then takes its place, so that no byte of deleted ones is left.
    """
    import duckdb

    from warehouse.lake import connect, current_snapshot

    started = time.monotonic()
    store = open_store(settings)
    con = connect(settings)
    try:
        con.execute("begin transaction")  # both tables of one snapshot
        snapshot = current_snapshot(con)
        with store.anew() if anew else nullcontext(store) as target:
            borrowers = con.execute(f"select * from {BORROWERS} order by borrower_id")
            n_borrowers = target.write("borrowers", borrowers.to_arrow_reader(_ROWS_A_BATCH), snapshot=snapshot)
            cohorts = con.execute(f"select * from {COHORTS} order by source, segment, segment_value")
            n_cohorts = target.write("cohorts", cohorts.to_arrow_reader(_ROWS_A_BATCH), snapshot=snapshot)
    except duckdb.CatalogException as error:
        raise LakeError(
            f"the lake has no {BORROWERS} or {COHORTS}: run `dbt build` (or `loanlake run`) first"
        ) from error
    finally:
        con.close()
    return RefreshResult(n_borrowers, n_cohorts, snapshot, time.monotonic() - started)
