"""The work of ``test_lake_race``: ``python -m tests.failure.lake_race SECONDS`` ingests and reads, and counts both."""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from orchestration.services.status import status_text
from tests.failure.test_ingestion_kills import a_decision
from tests.logged_contract import publish_contract
from warehouse import decision_log
from warehouse.batches.tables import application_table
from warehouse.decision_log import DecisionQuery, find_decision, ingest_into_lake, search_decisions
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

#: Decisions that one ingestion moves into the lake.
ROWS = 20


def race(settings: Settings, seconds: float) -> Counter[str]:
    """Ingest in one thread and read in five until the time is over; raises what any of them met."""
    publish_contract(settings, a_decision(0).model_name, a_decision(0).model_version, {"loan_to_income": "double"})
    with writer("a race", settings) as con:
        con.execute("create table core.applications as select 'a-1' as application_id, 1000.0 as requested_amount")
    counts: Counter[str] = Counter()
    _ingest(settings, counts)
    deadline = time.monotonic() + seconds
    doors = {
        "ingested": lambda: _ingest(settings, counts),
        "looked up": lambda: _look_up(settings, counts["ingested"]),
        "listed": lambda: _require(
            len(search_decisions(settings, DecisionQuery(n_rows=10))) == 10, "a search lists ten decisions"
        ),
        "tables": lambda: _table(settings),
        "counted": lambda: _count(settings, counts["ingested"]),
        "statuses": lambda: _require("lake" in status_text(settings), "status speaks of the lake"),
    }

    def go_on(name: str, act: Callable[[], None]) -> None:
        while time.monotonic() < deadline:
            act()
            if name != "ingested":
                counts[name] += 1

    with ThreadPoolExecutor(len(doors)) as threads:
        for future in [threads.submit(go_on, name, act) for name, act in doors.items()]:
            future.result()
    return counts


def _ingest(settings: Settings, counts: Counter[str]) -> None:
    with closing(decision_log.create(settings)) as outbox:
        decision_log.append(outbox, [a_decision(counts["ingested"] + number) for number in range(ROWS)])
    ingest_into_lake(settings)
    counts["ingested"] += ROWS


def _look_up(settings: Settings, n_ingested: int) -> None:
    # the log has them all, and the lake is asked for one that it lacks
    number = random.randrange(n_ingested)
    find_decision(settings, f"d-{number}")
    try:
        find_decision(settings, "unknown")
    except NotFoundError:
        return
    raise AssertionError("an unknown decision was found")


def _table(settings: Settings) -> None:
    with closing(connect(settings)) as con:
        found = application_table(
            con, "core.applications", "simulated", ["application_id"], required=["application_id"]
        )
        _require(list(found.rows) == [{"application_id": "a-1"}], "the table has its row")


def _count(settings: Settings, n_ingested: int) -> None:
    with closing(connect(settings)) as con:
        ((n_found,),) = con.execute("select count(*) from serving.predictions").fetchall()
    _require(n_found >= n_ingested, f"{n_ingested} rows were committed, and a reader that came later finds {n_found}")


def _require(is_met: bool, claim: str) -> None:
    if not is_met:
        raise AssertionError(f"not so: {claim}")


if __name__ == "__main__":
    print(json.dumps(race(Settings.from_environment(), float(sys.argv[1]))))
