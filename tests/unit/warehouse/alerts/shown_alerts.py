"""Alerts of a lender, and a table of them where the lake has a view."""

from dataclasses import astuple, fields, replace
from datetime import date
from typing import Any

from warehouse.alerts.alert import Alert
from warehouse.lake.connection import writer
from warehouse.settings import Settings

DRIFT = Alert(
    alert_id="0123456789",
    source="bank",
    kind="feature_drift",
    cause="features",
    state="open",
    severity="low",
    first_month=date(2025, 10, 1),
    last_month=date(2025, 12, 1),
    n_months=3,
    n_quiet_months=0,
    n_subjects=2,
    subjects="purpose, term",
    new_subjects="term",
    worst_subject="term",
    model_versions="2",
    value=0.9,
    threshold=0.2,
    message="term has drifted",
)


def alert(alert_id: str = DRIFT.alert_id, **changed: Any) -> Alert:
    return replace(DRIFT, alert_id=alert_id, **changed)


def show(settings: Settings, *alerts: Alert) -> None:
    """Make ``monitoring.alert_states`` hold these alerts."""
    types = {"date": "date", "datetime": "timestamp", "int": "integer", "float": "double"}
    columns = ", ".join(
        f"{field.name} {next((kind for name, kind in types.items() if name in str(field.type)), 'varchar')}"
        for field in fields(Alert)
    )
    with writer("tests", settings) as con:
        con.execute(f"create or replace table monitoring.alert_states ({columns})")
        for each in alerts:
            con.execute(
                f"insert into monitoring.alert_states values ({', '.join('?' for _ in fields(Alert))})",
                list(astuple(each)),
            )
