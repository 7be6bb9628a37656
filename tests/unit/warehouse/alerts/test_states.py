"""Alerts are read in the order of their urgency, and acknowledged by a person."""

import pytest
from click.testing import CliRunner

from orchestration.alerts_command import alerts as command
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.alerts.states import acknowledge, read_alerts
from warehouse.errors import NoLakeError, NotFoundError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


def test_open_and_severe_ones_come_first_and_of_the_lender_alone(home: Settings) -> None:
    show(
        home,
        alert("known", state="acknowledged", severity="high"),
        alert("low"),
        alert("high", severity="high"),
        alert("all", source=None, kind="contract"),
        alert("other", source="other"),
        alert("over", state="resolved"),
    )

    with connect(home) as con:
        assert [each.alert_id for each in read_alerts(con, ["bank"])] == ["high", "low", "all", "known"]
        assert [each.alert_id for each in read_alerts(con, ["bank"], with_resolved=True)][-1] == "over"
        assert len(read_alerts(con)) == 5


def test_an_acknowledgement_keeps_who_why_and_how_severe_it_was(home: Settings) -> None:
    show(home, alert())

    acknowledge(home, "0123456789", by="ann", reason="campaign")

    with connect(home) as con:
        [row] = con.execute("from monitoring.alert_acknowledgements").fetchall()
    assert (row[0], *row[2:5], f"{row[5]}") == ("0123456789", "ann", "campaign", "low", "2025-12-01")


@pytest.mark.parametrize(("alert_id", "said"), [("x", "no alert has the id 'x'"), ("over", "is resolved since")])
def test_what_is_not_open_cannot_be_acknowledged(home: Settings, alert_id: str, said: str) -> None:
    show(home, alert("over", state="resolved"))

    with pytest.raises(NotFoundError, match=said):
        acknowledge(home, alert_id, by="ann", reason="why")


def test_a_lake_without_measurements_has_nothing_to_acknowledge(home: Settings) -> None:
    with writer("tests", home):
        pass

    with pytest.raises(NotFoundError, match="no alert has the id"):
        acknowledge(home, "x", by="ann", reason="why")


def test_a_home_without_a_lake_gets_none_by_an_acknowledgement(home: Settings) -> None:
    with pytest.raises(NoLakeError):
        acknowledge(home, "0123456789", by="ann", reason="known")

    assert not home.lake_catalog.exists()


def test_the_command_lists_and_acknowledges(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANLAKE_HOME", str(home.home))
    show(home, alert())

    listed = CliRunner().invoke(command, [])
    done = CliRunner().invoke(command, ["ack", "0123456789", "--by", "ann", "--reason", "campaign"])

    assert "0123456789  open, low  bank: Features have drifted" in listed.output
    assert (done.exit_code, done.output[:10]) == (0, "0123456789")
