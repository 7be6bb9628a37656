"""The step that sends alerts shows them in Dagster, and does not fail where a route cannot be reached."""

import dagster as dg
import pytest

from orchestration.defs.monitoring.alerts import alert_notifications
from tests.unit.warehouse.alerts.shown_alerts import alert, show
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
