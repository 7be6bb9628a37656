"""A lake with the prepared tables of a lender, as far as its pages read them: of 2025-01 and 2025-03, none between."""

import json
from collections.abc import Mapping, Sequence

import duckdb

from tests.model_factory import MODEL_NAME, SOURCE
from warehouse.lake.connection import writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

MONTHS = ("2025-01-01", "2025-03-01")
#: Texts of a lender that want to be markup.
SCRIPT = "<script>alert('1')</script>"
_OWNER = {"source": SOURCE, "model_name": MODEL_NAME, "model_version": 1}
#: Tables of dbt, with the columns that pages read.
_PORTFOLIO = {
    "portfolio.vintages": "source varchar, vintage date, months_on_book integer, n_observed bigint, n_defaults bigint, "
    "default_share double, loss_share double, unobserved_share double",
    "portfolio.roll_rates": "source varchar, month date, from_state varchar, to_state varchar, n_borrowers bigint, "
    "borrower_share double",
    "portfolio.bands": "source varchar, model_name varchar, model_version integer, is_backfill boolean, month date, "
    "band varchar, band_number integer, n_decisions bigint, n_approved bigint, n_referred bigint, "
    "mean_probability double, n_mature bigint, n_defaults bigint, expected_defaults double, expected_loss double, "
    "realised_loss double",
    "portfolio.concentration": "source varchar, month date, dimension varchar, segment varchar, n_applications bigint, "
    "application_share double, requested_amount double, amount_share double, herfindahl_index double",
    "monitoring.alerts": "source varchar, raised_for date, kind varchar, severity varchar, subject varchar, "
    "message varchar",
}


def fill_tables(settings: Settings, *, feature: str = "loan_to_income", segment: str = "car") -> None:
    """Add the rows; ``feature`` and ``segment`` are names that a lender chose."""
    with writer("tests", settings) as con:
        for table, columns in _PORTFOLIO.items():
            con.execute("create schema if not exists portfolio")
            con.execute(f"create table {table} ({columns})")
        for month, psi in zip(MONTHS, (0.1, 0.4), strict=True):
            _insert_month(con, month, psi, feature, segment)
        for months_on_book, share in ((1, 0.01), (2, 0.02), (4, 0.05)):
            vintage = {"vintage": MONTHS[0], "months_on_book": months_on_book, "n_observed": 100, "n_defaults": 5}
            shares = {"default_share": share, "loss_share": share / 2, "unobserved_share": 0.0}
            _insert(con, "portfolio.vintages", {"source": SOURCE, **vintage, **shares})
        gate = {"gate": "auc_reaches_floor", "passed": False, "required": ".6", "found": ".5", "message": SCRIPT}
        _insert(con, "monitoring.gate_results", {**_OWNER, **gate})


def _insert_month(con: duckdb.DuckDBPyConnection, month: str, psi: float, feature: str, segment: str) -> None:
    owner = {**_OWNER, "month": month}
    sizes = {"n_reference": 100, "n_current": 50, "psi": psi, "psi_limit": 0.2, "is_severe": False}
    drift = {**owner, **sizes, "is_drifted": psi > 0.2, "bins": json.dumps([["to 1", 60, 10], ["above 1", 40, 40]])}
    _insert(con, "monitoring.feature_drift", {**drift, "feature": feature})
    _insert(con, "monitoring.score_drift", {**drift, "mean_reference": 0.1, "mean_current": 0.1 + psi / 10})
    for method, estimated in (("cbpe", 0.7), ("pape", 0.69)):
        ends = {"low": 0.65, "high": 0.75, "estimated_limit": 0.6, "true_value": None, "is_trusted": True}
        figures = {"metric": "auc", "method": method, "estimated": estimated, **ends}
        if method == "cbpe":  # graded: it was .12 too low, then .02 too high
            true = 0.82 if month == MONTHS[0] else 0.68
            figures |= {
                "role": "champion",
                "level": 0.95,
                "estimated_mature": 0.7,
                "true_value": true,
                "is_covered": true < 0.75,
            }
        _insert(con, "monitoring.performance_estimates", {**owner, **figures})
    if month == MONTHS[0]:
        counts = {"n_mature": 1000, "n_defaults": 100, "default_rate": 0.1, "mean_probability": 0.12}
        _insert(con, "monitoring.model_performance", {**owner, **counts, "auc": 0.72, "ks": 0.3, "brier": 0.08})
    for band_number, band in enumerate(("low", "high"), 1):
        decided = {"band": band, "band_number": band_number, "n_decisions": 100, "n_approved": 100 * (band == "low")}
        known = {"n_referred": 0, "mean_probability": 0.1 * band_number, "n_mature": 50, "n_defaults": 5 * band_number}
        losses = {"expected_defaults": 5.0 * band_number, "expected_loss": 1000.0, "realised_loss": 900.0}
        _insert(con, "portfolio.bands", {**owner, "is_backfill": True, **decided, **known, **losses})
    of_month = {"source": SOURCE, "month": month}
    for to_state, n in (("current", 90), ("1", 10)):
        rolled = {"from_state": "current", "to_state": to_state, "n_borrowers": n, "borrower_share": n / 100}
        _insert(con, "portfolio.roll_rates", {**of_month, **rolled})
    for dimension, value in (("purpose", segment), ("term", "36")):
        shares = {"application_share": 1.0, "requested_amount": 2e6, "amount_share": 1.0, "herfindahl_index": 1.0}
        row = {"dimension": dimension, "segment": value, "n_applications": 200, **shares}
        _insert(con, "portfolio.concentration", {**of_month, **row})
    alert = {"kind": "feature_drift", "severity": "low", "subject": feature, "message": f"{feature} has drifted"}
    _insert(con, "monitoring.alerts", {"source": SOURCE, "raised_for": month, **alert})


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Mapping[str, object]) -> None:
    columns: Sequence[str] = [name for name in row if name in program_tables().get(table, row)]
    places = ", ".join("?" for _ in columns)
    con.execute(f"insert into {table} ({', '.join(columns)}) values ({places})", [row[name] for name in columns])
