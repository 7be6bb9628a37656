"""Compare the decision log with the answers that callers got."""

from collections import Counter
from contextlib import closing

from tests.failure.callers import Told
from warehouse import decision_log
from warehouse.lake.connection import connect
from warehouse.settings import Settings


def assert_each_is_logged_once(settings: Settings, told: Told) -> None:
    """Every score that was answered is in the lake once, with the probability that was answered; none is left behind.

    A request that was sent again with its key is one decision: its answers, if it got several, are the same.
    """
    decision_log.ingest_into_lake(settings)
    with closing(connect(settings)) as con:
        rows = con.execute("select decision_id, application_id, probability from serving.predictions").fetchall()
    times_logged = Counter(decision_id for decision_id, _, _ in rows)
    probabilities = {decision_id: probability for decision_id, _, probability in rows}
    times_decided = Counter(application_id for _, application_id, _ in rows)

    assert told.scores, "nothing was answered, so nothing was shown"
    assert decision_log.count_pending(settings) == 0
    assert {n for n in times_logged.values() if n != 1} == set()
    assert [decision_id for decision_id, _ in told.scores if decision_id not in times_logged] == []
    assert [found for found in told.scores if probabilities[found[0]] != found[1]] == []
    assert [application_id for application_id in told.applications if times_decided[application_id] != 1] == []
