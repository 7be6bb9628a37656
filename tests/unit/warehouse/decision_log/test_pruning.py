"""What the lake has leaves the outbox when it is old, its room is given back, and whoever writes goes on."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from threading import Thread

import msgspec

from tests.unit.warehouse.decision_log.test_outbox import A_DECISION, AN_OUTCOME, decision, lake_ids, log
from warehouse import decision_log
from warehouse.decision_log import Decision, Pruned, ScoringFailure, ShadowDecision
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

NOTHING = timedelta(0)


def _large(numbers: range) -> list[Decision]:
    """About 5 KB each, as real ones."""
    return [msgspec.structs.replace(decision(number), inputs="x" * 5_000) for number in numbers]


def test_only_what_the_lake_has_and_what_is_old_is_deleted(home: Settings) -> None:
    log(home, [decision(1)])
    decision_log.ingest_into_lake(home)
    log(home, [decision(2)])

    kept = decision_log.prune(home, older_than=timedelta(days=1))
    done = decision_log.prune(home, older_than=NOTHING)

    assert (kept.n_entries, done.n_entries) == (0, 1)
    assert decision_log.count_pending(home) == 1
    assert decision_log.find_decision(home, "d-1") == decision(1)


def test_shadows_outcomes_and_failures_go_with_the_decisions(home: Settings) -> None:
    shadow = ShadowDecision(**{**msgspec.structs.asdict(A_DECISION), "answered_decision_id": "d-0"})
    failure = ScoringFailure(
        failure_id="f-1",
        failed_at=A_DECISION.decided_at,
        source="simulated",
        model_name="m",
        model_version=1,
        feature_version="v1",
        role="champion",
        reason="not_scorable",
    )
    with closing(decision_log.create(home)) as connection:
        decision_log.append(connection, [decision(2)], [AN_OUTCOME], [shadow], [failure])
    decision_log.ingest_into_lake(home)

    assert decision_log.prune(home, older_than=NOTHING).n_entries == 4
    assert decision_log.prune(home, older_than=NOTHING).n_entries == 0


def test_an_outcome_that_is_reported_again_afterwards_stays_the_first(home: Settings) -> None:
    """Its id follows from what it says, so the lake keeps one, with the time when it was first known."""
    log(home, [], [AN_OUTCOME])
    decision_log.ingest_into_lake(home)
    decision_log.prune(home, older_than=NOTHING)

    log(home, [], [msgspec.structs.replace(AN_OUTCOME, known_at=AN_OUTCOME.known_at + timedelta(days=40))])
    decision_log.ingest_into_lake(home)

    assert lake_ids(home, "known_at", "serving.reported_outcomes") == [AN_OUTCOME.known_at]


def test_what_a_restored_lake_lacks_stays_and_goes_there_again(home: Settings) -> None:
    """The watermark says that the lake has it; a lake from a backup has not."""
    log(home, [decision(number) for number in range(1, 6)])
    decision_log.ingest_into_lake(home)
    with writer("put back a backup", home) as con:
        con.execute("delete from serving.predictions where decision_id in ('d-3', 'd-5')")

    first = decision_log.prune(home, older_than=NOTHING)
    gained = decision_log.ingest_into_lake(home)
    second = decision_log.prune(home, older_than=NOTHING)

    assert (first.n_entries, first.n_missing) == (2, 2)
    assert gained.n_decisions == 2
    assert lake_ids(home) == ["d-1", "d-2", "d-3", "d-4", "d-5"]
    assert (second.n_entries, second.n_missing) == (3, 0)


def test_the_file_becomes_smaller(home: Settings) -> None:
    log(home, _large(range(4_000)))
    decision_log.ingest_into_lake(home)
    before = home.outbox.stat().st_size

    done = decision_log.prune(home, older_than=NOTHING)

    after = home.outbox.stat().st_size
    assert done.n_entries == 4_000
    assert before > 20_000_000
    assert after < 1_000_000
    assert done.n_bytes == before - after


def test_an_api_that_writes_meanwhile_hardly_waits(home: Settings) -> None:
    """One transaction for all would keep it waiting for a third of the time that pruning takes: here hours."""
    log(home, _large(range(15_000)))
    decision_log.ingest_into_lake(home)

    with closing(decision_log.create(home)) as api, _pruning(home) as pruned:
        waits, began = [], time.perf_counter()
        for number in count(15_000):
            if pruned:
                break
            started = time.perf_counter()
            decision_log.append(api, [decision(number)])
            waits.append(time.perf_counter() - started)
            time.sleep(0.002)
        seconds = time.perf_counter() - began

    assert pruned[0].n_entries == 15_000
    assert max(waits) < seconds / 10


def test_nothing_is_lost_between_pruning_and_ingesting_at_once(home: Settings) -> None:
    n_rounds, of_round = 3, 500
    with closing(decision_log.create(home)) as api:
        for number in range(n_rounds):
            decision_log.append(api, _large(range(number * of_round, (number + 1) * of_round)))
            with _pruning(home):
                decision_log.ingest_into_lake(home, batch_rows=70)

    with connect(home) as con:
        found = con.execute("select count(*), count(distinct decision_id) from serving.predictions").fetchall()
    assert found == [(n_rounds * of_round, n_rounds * of_round)]


@contextmanager
def _pruning(home: Settings) -> Iterator[list[Pruned]]:
    """All that the lake has by then is pruned in another thread; what was done is given when it is over."""
    done: list[Pruned] = []
    thread = Thread(target=lambda: done.append(decision_log.prune(home, older_than=NOTHING)))
    thread.start()
    try:
        yield done
    finally:
        thread.join()
