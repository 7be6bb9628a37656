"""The machine whose daemon has the turn ends what a lost machine had begun, and nothing else."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.running.instance import PROCESS_TAG, prepare_dagster_home
from orchestration.services.daemon_turn import SESSION
from orchestration.services.lost_machines import LostMachines
from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.team import TeamServer, server


@pytest.fixture
def instance(team: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL"):
        monkeypatch.setenv(name, "restored afterwards")
    prepare_dagster_home(team)
    with dg.DagsterInstance.get() as instance:
        yield instance


def take_turn(team: Settings, machine: str) -> None:
    with server(team, "tests") as connection:
        connection.execute("insert into loanlake.daemon_turns (machine) values (%s)", [machine])


def begin(instance: dg.DagsterInstance, run_id: str, tags: dict[str, str] | None = None) -> None:
    instance.add_run(
        dg.DagsterRun(job_name="monitor", run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags or {})
    )


def states(instance: dg.DagsterInstance) -> dict[str, str]:
    return {run.run_id: run.status.value for run in instance.get_runs()}


def test_runs_of_a_machine_missed_twice_are_ended_and_their_places_freed(
    team: Settings, instance: dg.DagsterInstance
) -> None:
    """Prevents them from keeping every later run of the pool waiting until a person terminates them."""
    take_turn(team, "lost")
    begin(instance, "of-lost")
    begin(instance, "by-command", {PROCESS_TAG: "1"})
    assert instance.event_log_storage.initialize_concurrency_limit_to_default("lake")
    claim = instance.event_log_storage.claim_concurrency_slot("lake", "of-lost", "step")
    assert claim.is_claimed
    take_turn(team, team.machine)
    begin(instance, "of-here")
    said: list[str] = []
    others = LostMachines(team, say=said.append)

    assert others.look(instance) == []
    assert others.look(instance) == ["of-lost"]

    assert states(instance) == {"of-lost": "FAILURE", "by-command": "STARTED", "of-here": "STARTED"}
    assert instance.event_log_storage.claim_concurrency_slot("lake", "of-here", "step").is_claimed
    [line] = said
    assert "run of-lost is marked as failed: machine lost," in line


def test_a_machine_that_waits_for_its_turn_keeps_its_runs(team: Settings, instance: dg.DagsterInstance) -> None:
    """A machine whose daemon was cut off for a moment goes on with what it had begun."""
    take_turn(team, "waits")
    begin(instance, "of-waits")
    take_turn(team, team.machine)
    others = LostMachines(team, say=lambda _: None)

    with server(team, f"{SESSION} waits"):
        assert [others.look(instance) for _ in range(3)] == [[], [], []]
    assert others.look(instance) == []  # missed once
    with server(team, f"{SESSION} waits"):
        assert others.look(instance) == []
    assert others.look(instance) == []

    assert states(instance) == {"of-waits": "STARTED"}
    assert others.look(instance) == ["of-waits"]


def test_machines_missed_around_a_look_that_failed_keep_their_runs(
    team: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the server was away, a machine that has not come back yet was not missed for a minute."""
    take_turn(team, "reconnects")
    begin(instance, "of-reconnects")
    take_turn(team, team.machine)
    others = LostMachines(team, say=lambda _: None)
    assert others.look(instance) == []

    with monkeypatch.context() as away:
        away.setattr(TeamServer, "call", _is_away)
        with pytest.raises(TeamError):
            others.look(instance)

    assert others.look(instance) == []
    assert others.look(instance) == ["of-reconnects"]


def _is_away(*_: object) -> None:
    raise TeamError("the server must answer")


def test_a_run_before_any_turn_is_of_no_machine(team: Settings, instance: dg.DagsterInstance) -> None:
    begin(instance, "earlier")
    take_turn(team, "lost")
    take_turn(team, team.machine)
    others = LostMachines(team, say=lambda _: None)

    assert [others.look(instance) for _ in range(3)] == [[], [], []]
