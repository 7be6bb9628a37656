"""Choose a home's online store, and copy the lake's online models to it."""

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.errors import LakeError
from warehouse.files.turns import file_turn
from warehouse.lake.feature_tables import ONLINE_MODEL
from warehouse.lake.tables import is_table
from warehouse.online_store.interface import OnlineStore, WriteResult
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BORROWERS = f"features.{ONLINE_MODEL}"
COHORTS = "features.ftr_online_cohorts"
_ROWS_A_BATCH = 50_000


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
    import duckdb

    from warehouse.lake.connection import connect, current_snapshot

    started, store = time.monotonic(), open_store(settings)
    # with the lake's read: a waiting refresh with an older snapshot would restore it
    turn = file_turn(settings.online_store.with_name(f".{settings.online_store.name}.lock"))
    with turn, closing(connect(settings)) as con:
        try:
            con.execute("begin transaction")  # both tables from one snapshot
            snapshot = current_snapshot(con)
            with store.anew() if anew else nullcontext(store) as target:
                n_borrowers = target.write("borrowers", _borrowers(con), snapshot=snapshot)
                cohorts = con.execute(f"select * from {COHORTS} order by source, segment, segment_value")
                n_cohorts = target.write("cohorts", cohorts.to_arrow_reader(_ROWS_A_BATCH), snapshot=snapshot)
        except duckdb.CatalogException as error:
            raise LakeError(
                f"the lake has no {BORROWERS} or {COHORTS}: run `dbt build` (or `loanlake run`) first"
            ) from error
    return RefreshResult(n_borrowers, n_cohorts, snapshot, time.monotonic() - started)


def _borrowers(con: "duckdb.DuckDBPyConnection") -> "Iterator[pa.RecordBatch]":
    """All borrowers by source and id; a lender's own history columns, if it has any, follow those of every lender."""
    for (source,) in con.execute(f"select distinct source from {BORROWERS} order by source").fetchall():
        columns, rows = "shared.*", f"{BORROWERS} as shared"
        if is_table(con, table := f"{BORROWERS}_{source}"):
            columns += ", own.* exclude (borrower_id, source)"
            rows += f" left join {table} as own using (borrower_id)"
        found = con.execute(
            f"select {columns} from {rows} where shared.source = $1 order by shared.borrower_id", [source]
        )
        yield from found.to_arrow_reader(_ROWS_A_BATCH)
