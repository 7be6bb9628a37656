"""The upkeep of a home reaches what grows with every request."""

from contextlib import closing

import pytest

from orchestration.defs.maintenance.upkeep import maintain_home
from tests.logged_contract import publish_contract
from tests.unit.warehouse.decision_log.test_outbox import decision, log
from warehouse import decision_log
from warehouse.settings import Settings


def test_decisions_leave_the_log_when_they_are_older_than_the_setting(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the log grows for ever: 40 GB a day at 100 requests a second."""
    monkeypatch.setenv("LOANLAKE_DECISION_LOG_DAYS", "2")
    publish_contract(home, decision(1).model_name, decision(1).model_version, {"loan_to_income": "double"})
    log(home, [decision(1), decision(2), decision(3)])
    decision_log.ingest_into_lake(home)
    log(home, [decision(4)])
    with closing(decision_log.create(home)) as connection:
        connection.execute("update decisions set appended_at = appended_at - 3 * 86400 where id in ('d-1', 'd-4')")
        connection.execute("update decisions set appended_at = appended_at - 1 * 86400 where id = 'd-2'")

    upkeep = maintain_home(Settings.from_environment(), retention_days=0, grace_hours=0)

    assert upkeep.log.n_entries == 1
    with closing(decision_log.create(home)) as connection:
        kept = [row[0] for row in connection.execute("select id from decisions order by sequence")]
    assert kept == ["d-2", "d-3", "d-4"]
