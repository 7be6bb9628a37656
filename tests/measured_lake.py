"""A lake with what monitoring has measured of the lender of :mod:`tests.model_factory`, in hand-made rows."""

from datetime import date
from typing import Any

from tests.model_factory import MODEL_NAME, SOURCE
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.lake.connection import writer
from warehouse.settings import Settings

_VERSION = {"source": SOURCE, "model_name": MODEL_NAME, "model_version": 1}
# views and tables of dbt: only the columns that the figures read
_OF_DBT = {
    "monitoring.freshness": "source varchar, clock_at timestamp, n_applications bigint, newest_application_at "
    "timestamp, n_statements bigint, newest_statement_on date, n_labels bigint, newest_label_decided_at timestamp, "
    "n_decisions bigint, newest_decision_at timestamp, newest_load_at timestamp",
    "staging.rows_set_aside": "source varchar, entity varchar, n_set_aside bigint, set_aside_share double, "
    "max_share double, is_replaced boolean, is_accepted boolean",
    "portfolio.bands": "source varchar, is_backfill boolean, month date, band varchar, n_decisions bigint, "
    "n_approved bigint, n_referred bigint, mean_probability double, n_mature bigint, n_defaults bigint, "
    "expected_defaults double, expected_loss double, realised_loss double",
}
_BAND = (
    *("month", "band", "n_decisions", "n_approved", "n_referred", "mean_probability"),
    *("n_mature", "n_defaults", "expected_defaults", "expected_loss", "realised_loss"),
)


def measure(settings: Settings) -> None:
    """Two months of performance, estimates and portfolio; three alerts; four kinds of data; a file with bad rows."""
    show(
        settings,
        alert("drifted", source=SOURCE, severity="high"),
        alert("known", source=SOURCE, kind="performance", state="acknowledged"),
        alert("broken", source=None, kind="contract", severity="high"),
    )
    january, february, march = (date(2022, month, 1) for month in (1, 2, 3))
    judged = {"ks": 0.3, "brier": 0.1, "mean_probability": 0.11, "is_decayed": True, "n_mature": 500}
    rows: dict[str, list[dict[str, Any]]] = {
        "raw.files": [{"source": SOURCE, "entity": "applications", "file": "a.csv"}],
        "monitoring.model_performance": [
            _VERSION | judged | {"month": january, "auc": 0.75, "auc_limit": 0.7, "default_rate": 0.1},
            _VERSION
            | judged
            | {"month": february, "auc": 0.65, "auc_limit": 0.7, "default_rate": 0.12, "default_rate_limit": 0.18},
            # too few outcomes to be judged
            _VERSION | judged | {"month": march, "auc": 0.9, "default_rate": 0.0, "n_mature": 9},
        ],
        "monitoring.performance_estimates": [
            _VERSION
            | {"month": month, "metric": metric, "method": "cbpe", "estimated": value, "is_alarm": value < limit}
            | {"low": value - 0.05, "high": value + 0.05, "estimated_limit": limit}
            for month, metric, value, limit in (
                (february, "auc", 0.6, 0.7),
                (march, "auc", 0.74, 0.7),
                (march, "default_rate", 0.12, 0.12),
                (march, "precision", 0.4, 0.0),
            )
        ]
        + [
            _VERSION
            | {"month": february, "metric": "defaults_so_far", "method": "exposure", "estimated": 15.6}
            | {"estimated_limit": 24.0, "true_value": 28.0}
        ],
        "monitoring.freshness": [
            {
                "source": SOURCE,
                "clock_at": "2022-03-31 12:00:00",
                "n_applications": 900,
                "newest_application_at": "2022-03-31 11:00:00",
                "n_statements": 5_000,
                "newest_statement_on": march,
                "n_labels": 400,
                "newest_label_decided_at": "2021-12-01 00:00:00",
                "n_decisions": 300,
                "newest_decision_at": "2022-03-31 11:00:00",
                "newest_load_at": "2022-04-01 02:00:00",
            }
        ],
        "staging.rows_set_aside": [
            {
                "entity": "applications",
                "n_set_aside": n,
                "set_aside_share": share,
                "is_replaced": old,
                "is_accepted": ok,
            }
            | {"source": SOURCE, "max_share": 0.2}
            for n, share, old, ok in ((30, 0.03, False, False), (50, 0.5, True, False), (70, 0.7, False, True))
        ],
        "portfolio.bands": [
            {"source": SOURCE, "is_backfill": False} | dict(zip(_BAND, row, strict=True))
            for row in (
                (january, "low", 100, 100, 0, 0.05, 90, 3, 4.0, 1000.0, 900.0),
                (january, "high", 60, 0, 0, 0.5, 10, 3, 4.0, 500.0, 700.0),
                # a label or two: of a month that is younger than its labels need
                (february, "low", 100, 100, 0, 0.05, 2, 2, 0.1, 20.0, 800.0),
                (march, "low", 150, 150, 0, 0.04, 0, 0, None, None, None),
                (march, "high", 50, 0, 10, 0.24, 0, 0, None, None, None),
            )
        ],
    }
    with writer("tests", settings) as con:
        for table, columns in _OF_DBT.items():
            con.execute(f"create schema if not exists {table.partition('.')[0]}")
            con.execute(f"create or replace table {table} ({columns})")
        for table, planted in rows.items():
            for row in planted:
                names = ", ".join(row)
                values = ", ".join(f"${place}" for place in range(1, len(row) + 1))
                con.execute(f"insert into {table} ({names}) values ({values})", list(row.values()))
