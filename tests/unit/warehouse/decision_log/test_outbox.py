"""The outbox keeps what was acknowledged, and the lake gets each entry once."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from dataclasses import replace as replaced
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from warehouse import decision_log
from warehouse.decision_log import Decision, DecisionQuery, Ingested, Pruned, ReportedOutcome
from warehouse.decision_log.entries import DECISIONS, OUTCOMES, SHADOWS
from warehouse.errors import LakeBusyError, LakeError, NotFoundError
from warehouse.lake.connection import connect, lease, writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

A_DECISION = Decision(
    decision_id="d-1",
    decided_at=datetime(2026, 3, 1, 12, 30, 0, 250),
    source="simulated",
    application_id="sim-1",
    borrower_id=None,
    inputs='{"annual_income": 0.1}',
    features='{"loan_to_income":0.30000000000000004}',
    raw_score=-1.25,
    probability=0.1 + 0.2,
    probability_low=0.1 + 0.1,
    probability_high=0.1 + 0.3,
    band="C",
    decision="decline",
    reasons="[]",
    model_name="default_risk_simulated",
    model_version=3,
    feature_version="v1",
    route="online",
    status="scored",
    latency_ms=2.5,
    features_as_of=None,
    lake_snapshot=17,
)
AN_OUTCOME = ReportedOutcome(
    outcome_id="o-1",
    source="simulated",
    application_id="sim-1",
    is_default=True,
    outcome_at=datetime(2026, 3, 2),
    known_at=datetime(2026, 3, 3, 1),
)


def decision(number: int) -> Decision:
    return msgspec.structs.replace(A_DECISION, decision_id=f"d-{number}")


def log(home: Settings, decisions: list[Decision], outcomes: list[ReportedOutcome] | None = None) -> None:
    connection = decision_log.create(home)
    decision_log.append(connection, decisions, outcomes or [])
    connection.close()


def lake_ids(home: Settings, column: str = "decision_id", table: str = "serving.predictions") -> list[str]:
    con = connect(home)
    found = [row[0] for row in con.execute(f"select {column} from {table} order by all").fetchall()]
    con.close()
    return found


def test_a_decision_has_the_columns_of_the_predictions_table() -> None:
    assert {*DECISIONS.columns, "ingested_at"} == set(program_tables()["serving.predictions"])


def test_a_shadow_has_the_columns_of_the_shadow_predictions_table() -> None:
    assert {*SHADOWS.columns, "ingested_at"} == set(program_tables()["serving.shadow_predictions"])


def test_an_outcome_has_the_columns_of_the_reported_outcomes_table() -> None:
    assert [*OUTCOMES.columns, "ingested_at"] == list(program_tables()["serving.reported_outcomes"])


def test_a_decision_comes_back_from_the_lake_to_the_bit(home: Settings) -> None:
    """A replay compares to the bit, so a double or a microsecond lost on the way would look like a changed model."""
    log(home, [A_DECISION])

    decision_log.ingest_into_lake(home)
    home.outbox.unlink()

    assert decision_log.find_decision(home, "d-1") == A_DECISION


def test_a_decision_is_found_before_it_is_ingested(home: Settings) -> None:
    log(home, [A_DECISION])

    assert decision_log.find_decision(home, "d-1") == A_DECISION


def test_an_unknown_decision_is_an_error_that_says_where_it_looked(home: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"'d-9' in the outbox .* or in serving\.predictions"):
        decision_log.find_decision(home, "d-9")


def test_outcomes_reach_the_lake_beside_decisions(home: Settings) -> None:
    log(home, [A_DECISION], [AN_OUTCOME])

    ingested = decision_log.ingest_into_lake(home)

    assert ingested == Ingested(n_decisions=1, n_outcomes=1)
    assert lake_ids(home, "outcome_id", "serving.reported_outcomes") == ["o-1"]


def test_the_first_entry_of_an_id_is_kept(home: Settings) -> None:
    log(home, [A_DECISION])
    log(home, [msgspec.structs.replace(A_DECISION, probability=0.9)], [AN_OUTCOME, AN_OUTCOME])

    assert decision_log.find_decision(home, "d-1").probability == A_DECISION.probability
    assert decision_log.count_pending(home) == 2


def test_of_two_decisions_on_one_key_the_first_is_kept(home: Settings) -> None:
    """Two workers that get the same request at once each decide, and one of the two decisions must not have been."""
    first, second = decision_log.create(home), decision_log.create(home)

    decision_log.append(first, keyed=[("key-1", decision(1))])
    decision_log.append(second, [decision(3)], keyed=[("key-1", decision(2)), ("key-2", decision(4))])

    kept = decision_log.find_by_key(second, "key-1")
    assert kept == decision(1)
    assert decision_log.find_by_key(first, "key-3") is None
    decision_log.ingest_into_lake(home)
    assert lake_ids(home) == ["d-1", "d-3", "d-4"]


def test_the_journal_does_not_stay_at_its_largest(home: Settings) -> None:
    """It grows for as long as somebody reads an old state; SQLite alone would keep all of it for ever."""
    connection, reader = decision_log.create(home), decision_log.connect(home)
    assert reader is not None
    journal = home.outbox.with_name(f"{home.outbox.name}-wal")
    large = [msgspec.structs.replace(decision(number), inputs="x" * 100_000) for number in range(250)]

    reader.execute("begin")
    reader.execute("select count(*) from decisions").fetchall()
    decision_log.append(connection, large)
    largest = journal.stat().st_size
    reader.execute("commit")
    for number in range(250, 255):
        decision_log.append(connection, [decision(number)])

    assert largest > 25_000_000
    assert journal.stat().st_size < 17_000_000
    connection.close()
    reader.close()


def test_a_batch_is_appended_whole_or_not_at_all(home: Settings) -> None:
    connection = decision_log.create(home)
    broken = msgspec.structs.replace(A_DECISION, decision_id=["not", "text"])

    with pytest.raises(Exception, match="Error binding parameter"):
        decision_log.append(connection, [decision(1), broken])

    assert decision_log.count_pending(home) == 0
    decision_log.append(connection, [decision(2)])
    assert decision_log.count_pending(home) == 1


def test_ingesting_again_adds_nothing(home: Settings) -> None:
    log(home, [decision(1), decision(2)])
    decision_log.ingest_into_lake(home)

    again = decision_log.ingest_into_lake(home)

    assert again == Ingested(0, 0)
    assert lake_ids(home) == ["d-1", "d-2"]


def test_small_batches_reach_the_lake_all(home: Settings) -> None:
    log(home, [decision(number) for number in range(5)])

    ingested = decision_log.ingest_into_lake(home, batch_rows=2)

    assert ingested.n_decisions == 5
    assert decision_log.count_pending(home) == 0


def test_nothing_pending_needs_no_turn_to_write(home: Settings) -> None:
    """The sensor may ask every few seconds; waiting for the lease each time would stall it behind a long dbt build."""
    log(home, [])
    with lease("a long build", home):
        assert decision_log.ingest_into_lake(replaced(home, lease_seconds=0.1)) == Ingested(0, 0)


def test_a_busy_lake_leaves_the_entries_for_the_next_run(home: Settings) -> None:
    log(home, [A_DECISION])
    with lease("a long build", home), pytest.raises(LakeBusyError, match="a long build"):
        decision_log.ingest_into_lake(replaced(home, lease_seconds=0.1))

    assert decision_log.ingest_into_lake(home).n_decisions == 1


def test_killed_between_the_lakes_commit_and_the_watermark_nothing_is_doubled(home: Settings) -> None:
    log(home, [decision(1), decision(2)])
    program = textwrap.dedent(
        """
        import os, signal
        from warehouse.decision_log import ingestion
        from warehouse.settings import Settings
        ingestion._move_watermark = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        ingestion.ingest_into_lake(Settings.from_environment())
        """
    )
    killed = subprocess.run([sys.executable, "-c", program], env=os.environ.copy(), check=False)
    log(home, [decision(3)])

    ingested = decision_log.ingest_into_lake(home)

    assert killed.returncode == -signal.SIGKILL
    assert lake_ids(home) == ["d-1", "d-2", "d-3"]
    assert ingested.n_decisions == 1


def test_decisions_appended_while_ingesting_are_neither_lost_nor_doubled(home: Settings) -> None:
    program = textwrap.dedent(
        """
        import msgspec
        from tests.unit.warehouse.decision_log.test_outbox import decision
        from warehouse import decision_log
        from warehouse.settings import Settings
        connection = decision_log.create(Settings.from_environment())
        for number in range(300):
            decision_log.append(connection, [decision(number)])
        """
    )
    api = subprocess.Popen([sys.executable, "-c", program], env=os.environ.copy())
    while api.poll() is None:
        decision_log.ingest_into_lake(home, batch_rows=7)
    decision_log.ingest_into_lake(home)

    assert api.returncode == 0
    found = lake_ids(home)
    assert len(found) == len(set(found)) == 300


def test_the_backlog_is_what_the_lake_lacks_and_since_when(home: Settings) -> None:
    log(home, [decision(1), decision(2)], [AN_OUTCOME])
    before = time.time()
    decision_log.ingest_into_lake(home)
    log(home, [decision(3), decision(4)])
    connection = decision_log.connect(home)
    assert connection is not None

    with closing(connection):
        found = decision_log.backlog(connection)

    assert {kind: backlog.n_rows for kind, backlog in found.items()} == {
        "decisions": 2,
        "shadows": 0,
        "outcomes": 0,
        "failures": 0,
    }
    assert before < (found["decisions"].oldest_at or 0) <= time.time()
    assert found["outcomes"].oldest_at is None


def test_an_empty_home_has_nothing_pending(home: Settings) -> None:
    assert decision_log.count_pending(home) == 0
    assert decision_log.ingest_into_lake(home) == Ingested(0, 0)
    assert decision_log.prune(home, older_than=timedelta(0)) == Pruned()


def test_a_lake_without_the_decision_still_answers_not_found(home: Settings) -> None:
    with writer("make the tables", home):
        pass

    with pytest.raises(NotFoundError):
        decision_log.find_decision(home, "d-9")


def test_a_lake_whose_files_are_gone_is_not_readable_rather_than_empty(home: Settings) -> None:
    """DuckDB's own error became a 500, and a lake that could not be attached a page without decisions."""
    log(home, [decision(number) for number in range(200)])
    decision_log.ingest_into_lake(home)
    for file in Path(home.lake_data).rglob("*.parquet"):
        file.unlink()

    with pytest.raises(LakeError, match=r"a query of serving.predictions ended with \w+"):
        decision_log.search_decisions(home, DecisionQuery(n_rows=1))


def test_the_newest_of_one_lender_or_caller_are_the_same_in_outbox_and_lake(home: Settings) -> None:
    asked: list[dict[str, Any]] = [
        *({"sources": ("cars",)}, {"sources": ("cards",), "caller_id": "ann"}),
        *({"sources": ("boats",)}, {"caller_id": "bob"}),
    ]
    log(
        home,
        [
            msgspec.structs.replace(
                decision(number),
                decided_at=A_DECISION.decided_at + timedelta(minutes=number),
                source="cards" if number % 3 else "cars",
                caller_id="ann" if number % 2 else "bob",
            )
            for number in range(12)
        ],
    )

    in_outbox = [[each.decision_id for each in decision_log.newest_in_outbox(home, 2, **of)] for of in asked]
    decision_log.ingest_into_lake(home)
    in_lake = [
        [each.decision_id for each in decision_log.search_decisions(home, DecisionQuery(n_rows=2, **of))]
        for of in asked
    ]

    assert in_outbox == [["d-9", "d-6"], ["d-11", "d-7"], [], ["d-10", "d-8"]]
    assert in_lake == in_outbox


def _bytes_of_outbox(home: Settings) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.outbox.parent.iterdir()))


def test_no_byte_of_an_erased_entry_stays_in_the_outbox(home: Settings) -> None:
    """SQLite leaves deleted rows in free pages and in its journal."""
    mine = [msgspec.structs.replace(decision(number), borrower_id="ann-9") for number in (1, 2)]
    log(home, [*mine, decision(3)])
    connection = decision_log.create(home)  # the API, which goes on
    entries = [(DECISIONS, entry.decision_id, entry) for entry in mine]

    decision_log.erase_entries(home, entries, rename=None)

    assert b"ann-9" not in _bytes_of_outbox(home)
    decision_log.append(connection, [decision(4)])
    connection.close()
    assert decision_log.ingest_into_lake(home) == Ingested(2, 0)


def test_a_renamed_entry_goes_to_the_lake_under_its_pseudonym(home: Settings) -> None:
    inputs = '{"borrower_id": "ann-9", "annual_income": 0.1}'
    mine = msgspec.structs.replace(decision(1), borrower_id="ann-9", inputs=inputs)
    log(home, [decision(2)])
    with closing(decision_log.create(home)) as connection:
        decision_log.append(connection, keyed=[("key-made-of-ann-9", mine)])

    decision_log.erase_entries(home, [(DECISIONS, "d-1", mine)], rename=lambda name: f"{name[0]}-x")

    assert b"ann-9" not in _bytes_of_outbox(home)
    decision_log.ingest_into_lake(home)
    found = decision_log.find_decision(home, "d-x")
    assert (found.borrower_id, found.application_id, found.probability) == ("a-x", "s-x", mine.probability)
    assert found.inputs == '{"borrower_id": "a-x", "annual_income": 0.1}'
