"""A refresh mirrors the two online tables of the lake."""

import fcntl
import threading
import time

import pytest

from tests.unit.warehouse.online_store.opened_store import LATER, Opened
from warehouse.errors import LakeError
from warehouse.lake.connection import current_snapshot, writer
from warehouse.online_store import WriteResult, open_store, refresh
from warehouse.settings import Settings


def test_a_refresh_copies_both_online_models_of_the_lake(settings: Settings) -> None:
    with writer("a test", settings) as con:
        con.execute(
            "create table features.ftr_online_borrowers as select * from (values "
            "('bob', 'simulated', timestamp '2026-04-01', 1), ('ann', 'simulated', timestamp '2026-04-01', 2)) "
            "as t(borrower_id, source, as_of, n_loans)"
        )
        con.execute(
            "create table features.ftr_online_cohorts as select * from (values "
            "('simulated', 'all', 'all', timestamp '2026-04-01', 0.25e0)) "
            "as t(source, segment, segment_value, as_of, default_rate)"
        )

    first, second = refresh(settings), refresh(settings)

    assert (first.borrowers.n_written, first.cohorts.n_written) == (2, 1)
    assert second.borrowers == WriteResult(n_unchanged=2)
    with Opened(open_store(settings)) as store:
        found = store.cohort("simulated", "all", "all")
        assert found is not None
        assert (found.values, found.as_of, found.snapshot) == ({"default_rate": 0.25}, LATER, first.snapshot)


def test_a_lenders_own_history_is_stored_beside_that_of_every_lender(settings: Settings) -> None:
    with writer("a test", settings) as con:
        con.execute(
            "create table features.ftr_online_borrowers as select * from (values "
            "('ann', 'mybank', timestamp '2026-04-01', 1), ('bob', 'mybank', timestamp '2026-04-01', 2), "
            "('eve', 'simulated', timestamp '2026-04-01', 3)) as t(borrower_id, source, as_of, n_loans)"
        )
        con.execute(
            "create table features.ftr_online_borrowers_mybank as "
            "select 'bob' as borrower_id, 'mybank' as source, 4 as n_bounced_3m"
        )
        con.execute(
            "create table features.ftr_online_cohorts as select 'simulated' as source, 'all' as segment, "
            "'all' as segment_value, timestamp '2026-04-01' as as_of, 0.25e0 as default_rate"
        )

    refresh(settings)

    with Opened(open_store(settings)) as store:
        found = [store.borrower("ann", "mybank"), store.borrower("bob", "mybank"), store.borrower("eve")]
    assert [record.values for record in found if record is not None] == [
        {"n_loans": 1, "n_bounced_3m": None},
        {"n_loans": 2, "n_bounced_3m": 4},
        {"n_loans": 3},
    ]


def test_a_refresh_that_waited_for_another_mirrors_the_lake_of_after_it(settings: Settings) -> None:
    """Of two lenders' runs at once the slower one put back what the other had replaced."""
    with writer("a test", settings) as con:
        con.execute(
            "create table features.ftr_online_borrowers as select 'ann' as borrower_id, 'simulated' as source, "
            "timestamp '2026-04-01' as as_of, 1 as n_loans"
        )
        con.execute(
            "create table features.ftr_online_cohorts as select 'simulated' as source, 'all' as segment, "
            "'all' as segment_value, timestamp '2026-04-01' as as_of, 0.25e0 as default_rate"
        )
    results = []
    waiting = threading.Thread(target=lambda: results.append(refresh(settings)))
    with (settings.home / ".online.lock").open("a") as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        waiting.start()
        time.sleep(0.5)
        with writer("a test", settings) as con:
            con.execute("update features.ftr_online_borrowers set n_loans = 2")
            newest = current_snapshot(con)
    waiting.join(timeout=20)

    assert [result.snapshot for result in results] == [newest]


def test_a_refresh_before_dbt_has_built_says_what_to_do(home: Settings) -> None:
    with writer("a test", home):
        pass

    with pytest.raises(LakeError, match=r"the lake has no features\.ftr_online_borrowers .* run `dbt build`"):
        refresh(home)
