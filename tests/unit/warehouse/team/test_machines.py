"""Machines of a team: what each had not handed over is reported, also of one that is silent."""

from dataclasses import replace
from datetime import datetime

from warehouse.settings import Settings
from warehouse.team import server
from warehouse.team.machines import Machine, forget, leave, machines, report


def test_a_machine_is_known_by_its_last_report(team: Settings) -> None:
    with server(team) as con:
        report(con, team, 7)
        report(con, team, 3)

    (found,) = machines(team)

    assert (found.machine, found.n_waiting, found.is_silent) == (team.machine, 3, False)


def test_a_forgotten_machine_is_reported_no_more(team: Settings) -> None:
    with server(team) as con:
        report(con, team, 0)

    assert forget(team, team.machine)
    assert not forget(team, team.machine)
    assert machines(team) == []


def test_a_machine_that_stops_is_expected_no_more_unless_entries_wait_on_its_disk(team: Settings) -> None:
    kept = replace(team, machine="kept")
    with server(team) as con:
        for settings, n_waiting in ((team, 0), (kept, 2)):
            report(con, settings, n_waiting)
            leave(con, settings)

    assert [each.machine for each in machines(team)] == ["kept"]


def test_a_silent_machine_says_what_it_had_and_what_to_do() -> None:
    silent = Machine("a", datetime(2026, 3, 1, 9), 4, seconds_silent=31.0)

    assert silent.sentence == (
        "a: silent since 2026-03-01 09:00:00 UTC, when 4 entries of its log were not handed over; its disk may hold "
        "later ones: start `loanlake serve` there again"
    )
