"""Decisions of a team on their way to the lake: on the machine, on the server, or in the lake; never twice."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.logged_contract import publish_contract
from tests.unit.warehouse.decision_log.test_outbox import A_DECISION
from warehouse import decision_log
from warehouse.decision_log import handover
from warehouse.decision_log.outbox import count_in_outbox
from warehouse.errors import TeamError
from warehouse.lake.connection import connect
from warehouse.settings import Settings
from warehouse.team import TeamServer, server
from warehouse.team.machines import machines


@pytest.fixture
def machine(team: Settings, tmp_path: Path) -> Settings:
    """An API machine with three decisions on its disk."""
    found = replace(team, home=tmp_path / "api", machine="api")
    for settings in (team, found):
        publish_contract(settings, A_DECISION.model_name, A_DECISION.model_version, {"loan_to_income": "double"})
    with closing(decision_log.create(found)) as log:
        decision_log.append(log, [msgspec.structs.replace(A_DECISION, decision_id=f"d-{n}") for n in range(3)])
    return found


def hand_over(machine: Settings) -> int:
    with server(machine) as con:
        return handover.hand_over(machine, con)


def in_lake(settings: Settings) -> list[str]:
    with connect(settings) as con:
        return [name for (name,) in con.execute("select decision_id from serving.predictions order by 1").fetchall()]


def test_what_was_handed_over_leaves_the_machine_and_reaches_the_lake_from_a_worker(
    team: Settings, machine: Settings
) -> None:
    n_moved = hand_over(machine)

    assert (n_moved, count_in_outbox(machine), decision_log.count_pending(team)) == (3, 0, 3)
    assert decision_log.find_decision(team, "d-1").decision_id == "d-1"
    assert decision_log.ingest_into_lake(team).n_decisions == 3
    assert decision_log.ingest_into_lake(team).n_decisions == 0
    assert in_lake(team) == ["d-0", "d-1", "d-2"]
    assert [(each.machine, each.n_waiting) for each in machines(team)] == [("api", 0)]


def test_a_machine_killed_between_sending_and_forgetting_sends_again_without_a_second_row(
    team: Settings, machine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(handover, "_forget", _killed)
        with pytest.raises(KeyboardInterrupt):
            hand_over(machine)
    decision_log.ingest_into_lake(team)

    assert hand_over(machine) == 3
    assert decision_log.ingest_into_lake(team).n_decisions == 0
    assert in_lake(team) == ["d-0", "d-1", "d-2"]


def test_nothing_is_forgotten_before_the_server_has_committed_it(team: Settings, machine: Settings) -> None:
    """A lost connection would undo the caller's transaction, with entries that are no longer on the disk."""
    with server(machine) as con, con.transaction(), pytest.raises(ValueError, match="transactions of their own"):
        handover.hand_over(machine, con)

    assert count_in_outbox(machine) == 3


def test_entries_handed_over_by_a_kept_connection_stay_though_it_breaks_afterwards(
    team: Settings, machine: Settings
) -> None:
    def broken(con: Any) -> None:
        handover.hand_over(machine, con)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TeamServer(machine, "test").call(broken, whole=False)

    assert (count_in_outbox(machine), decision_log.count_pending(team)) == (0, 3)


def test_a_worker_killed_between_the_lakes_commit_and_forgetting_adds_no_second_row(
    team: Settings, machine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over(machine)
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.decision_log.ingestion.forget_handed_over", _killed)
        with pytest.raises(KeyboardInterrupt):
            decision_log.ingest_into_lake(team)

    assert decision_log.ingest_into_lake(team).n_decisions == 0
    assert in_lake(team) == ["d-0", "d-1", "d-2"]
    assert decision_log.count_pending(team) == 0


def test_while_the_server_is_away_decisions_stay_on_the_disk(machine: Settings) -> None:
    away = replace(machine, catalog="host=127.0.0.1 port=1 dbname=none connect_timeout=2")

    with pytest.raises(TeamError):
        hand_over(away)

    assert count_in_outbox(machine) == 3


def test_a_key_has_one_decision_whatever_machine_adds_it(team: Settings) -> None:
    other = msgspec.structs.replace(A_DECISION, decision_id="another")

    with server(team) as con:
        added = [handover.add_keyed(con, team, "key", decision) for decision in (A_DECISION, other)]
        decision_id, payload = handover.decision_of_key(con, "key") or ("", None)

    assert added == [True, False]
    assert decision_id == A_DECISION.decision_id
    assert payload is not None
    assert decision_log.count_pending(team) == 1


def test_a_key_outlives_its_decisions_way_to_the_lake_until_it_is_pruned(team: Settings, machine: Settings) -> None:
    with server(team) as con:
        handover.add_keyed(con, team, "key", A_DECISION)
        decision_log.ingest_into_lake(team)
        assert handover.decision_of_key(con, "key") == (A_DECISION.decision_id, None)

        assert decision_log.prune(team, older_than=timedelta(days=1)).n_entries == 0
        assert decision_log.prune(team, older_than=timedelta(0)).n_entries == 1
        assert handover.decision_of_key(con, "key") is None


def test_an_erased_entry_goes_from_the_server_with_its_key(team: Settings) -> None:
    with server(team) as con:
        handover.add_keyed(con, team, "key", A_DECISION)

        decision_log.erase_entries(
            team, [(decision_log.entries.DECISIONS, A_DECISION.decision_id, A_DECISION)], rename=None
        )

        assert handover.decision_of_key(con, "key") is None
    assert decision_log.count_pending(team) == 0


def test_no_entry_is_on_its_way_while_a_person_is_erased(
    team: Settings, machine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One between disk and server would be missed in both, and reach the lake."""
    moved: list[int] = []
    change = handover.change_handed_over

    def change_during_hand_over(*given: Any) -> None:
        moved.append(hand_over(machine))
        change(*given)

    monkeypatch.setattr("warehouse.decision_log.erasing.change_handed_over", change_during_hand_over)

    decision_log.erase_entries(machine, [(decision_log.entries.DECISIONS, "d-1", A_DECISION)], rename=None)

    assert (moved, count_in_outbox(machine)) == ([0], 2)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
