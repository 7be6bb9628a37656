"""The step that sends alerts shows them in Dagster, and does not fail where a route cannot be reached."""

import dagster as dg
import pytest
from click.testing import CliRunner

from orchestration.alerts_command import alerts
from orchestration.defs.monitoring.alerts import alert_notifications
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.alerts.sending import unsent_lines
from warehouse.alerts.states import acknowledge
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


def test_it_shows_open_alerts_and_what_was_not_delivered(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    show(home, alert(), alert("over", state="resolved"))
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    monkeypatch.setenv("HOOK_URL", "json://127.0.0.1:1/s3cret")

    done = dg.materialize([alert_notifications], selection=[alert_notifications])

    [event] = done.get_asset_materialization_events()
    found = event.materialization.metadata
    assert done.success
    assert found["summary"].text == "alerts: 1 open; messages: 0 delivered, 1 not delivered"  # type: ignore[attr-defined]  # a text
    assert "| 0123456789 | open | low | bank | Features have drifted, 2 (purpose, term)" in str(found["alerts"].value)
    assert "| hook | Loanlake: 1 new alert of bank | is tried again: " in str(found["messages"].value)
    assert "s3cret" not in str(found)


def test_a_misspelt_lender_is_not_answered_with_none(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    show(home, alert())
    with writer("test", home) as con:
        con.execute("create schema if not exists raw; create table if not exists raw.files (source varchar)")
    monkeypatch.setenv("LOANLAKE_HOME", str(home.home))

    found = CliRunner().invoke(alerts, ["--lender", "bank"])
    misspelt = CliRunner().invoke(alerts, ["--lender", "bnak"])

    assert "1 open" in found.output
    assert isinstance(misspelt.exception, NotFoundError)
    assert str(misspelt.exception) == "no lender of this home has the name 'bnak': it has bank"


def test_routes_that_cannot_be_read_are_reported_and_stop_nothing(home: Settings) -> None:
    """A run that had published a model ended as failed, for a word in a file of addresses."""
    show(home, alert())
    home.alert_routes.write_text("routes: {hook: json://127.0.0.1:1/s3cret}")

    done = dg.materialize([alert_notifications], selection=[alert_notifications])

    [event] = done.get_asset_materialization_events()
    summary = event.materialization.metadata["summary"].text  # type: ignore[attr-defined]  # a text
    assert done.success
    assert summary.startswith("alerts: 1 open; NO ALERT IS SENT: the file of alert routes, ")
    assert "s3cret" not in summary
    assert unsent_lines(home)[0].startswith("no alert is sent: the file of alert routes")


def test_a_known_alert_that_ended_is_known_no_more(home: Settings) -> None:
    """Mended and broken again within one month, it stayed acknowledged: nobody was told."""
    show(home, alert("known", state="acknowledged"), alert("mended"))
    acknowledge(home, "known", by="ann", reason="campaign")
    acknowledge(home, "mended", by="ann", reason="campaign")
    show(home, alert("known", state="acknowledged"), alert("mended", state="resolved"))

    dg.materialize([alert_notifications], selection=[alert_notifications])

    with connect(home) as con:
        rows = con.execute(
            "select alert_id, ended_at is null from monitoring.alert_acknowledgements order by all"
        ).fetchall()
    assert rows == [("known", True), ("mended", False)]
