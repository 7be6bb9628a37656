"""An API machine and its team's server: in step while it answers, and serving from its disk while it does not."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from serving.team import TeamLink
from tests.unit.warehouse.decision_log.test_outbox import A_DECISION
from warehouse import decision_log
from warehouse.decision_log.outbox import count_in_outbox
from warehouse.settings import Settings
from warehouse.team import push
from warehouse.team.machines import machines


def test_a_machine_that_starts_has_what_is_served_and_hands_over_what_was_left(team: Settings, tmp_path: Path) -> None:
    served = team.deployment("cards")
    served.parent.mkdir(parents=True)
    served.write_text("{}")
    push(team, served)
    machine = replace(team, home=tmp_path / "api")
    with closing(decision_log.create(machine)) as log:
        decision_log.append(log, [A_DECISION])
    link = TeamLink(machine, poll_seconds=60)

    link.start()

    assert machine.deployed_lenders() == ("cards",)
    assert (count_in_outbox(machine), decision_log.count_pending(team)) == (0, 1)
    assert link.problem is None
    assert link.handed_over is not None
    assert link.handed_over.n_rows == 1
    assert [each.machine for each in machines(team)] == [machine.machine]
    link.stop()
    assert machines(team) == []


def test_a_machine_starts_without_its_server_and_says_so(home: Settings) -> None:
    link = TeamLink(replace(home, catalog="host=127.0.0.1 port=1 dbname=x connect_timeout=2"), poll_seconds=60)

    link.start()

    assert link.problem is not None
    assert "must answer" in link.problem
    (age,) = link.collect()
    assert age.samples[0].value > 0
    link.stop()


def test_an_embedded_home_has_no_link(home: Settings) -> None:
    link = TeamLink(home, poll_seconds=60)

    link.start()
    link.stop()

    assert list(link.collect()) == []


def test_a_teams_machine_says_how_far_it_is_behind(team: Settings, home: Settings) -> None:
    def named(settings: Settings) -> list[str]:
        return [family.name for family in TeamLink(settings, poll_seconds=1).collect()]

    assert named(team) == ["loanlake_team_seconds_behind"]
    assert named(home) == []


def test_decisions_are_handed_over_though_a_file_cannot_be_pulled(
    team: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents one bad file from keeping all decisions on this disk until somebody looks."""
    served = team.deployment("cards")
    served.parent.mkdir(parents=True)
    served.write_text("{}")
    push(team, served)
    machine = replace(team, home=tmp_path / "api")
    (machine.deployments / "cards" / "deployment.json").mkdir(parents=True)
    link = TeamLink(machine, poll_seconds=60)
    link.start()
    with closing(decision_log.create(machine)) as log:
        decision_log.append(log, [A_DECISION])

    link._look()

    assert (count_in_outbox(machine), decision_log.count_pending(team)) == (0, 1)
    assert link.problem is not None
    assert "deployment.json" in link.problem
    assert link.limitation is None
    later = time.monotonic() + 100
    monkeypatch.setattr("serving.team.link.time.monotonic", lambda: later)
    assert link.limitation is not None
    assert link.limitation.startswith("not in step with the team's server for 100 s")
    link.stop()
