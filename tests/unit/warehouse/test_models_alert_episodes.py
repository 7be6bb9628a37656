"""When an alert ends: after quiet months for a figure that swings around its limit, else with the first."""

from collections.abc import Iterator, Mapping

import duckdb
import pytest

from tests.unit.warehouse.macros import model_sql
from warehouse.lake.tables import program_tables

_OWNER = {"source": "bank", "model_name": "m", "model_version": 1}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables that the model reads, empty."""
    reads = ("feature_drift", "score_drift", "feature_skew", "model_performance", "performance_estimates")
    tables = [*(f"monitoring.{name}" for name in (*reads, "gate_results", "contract_violations"))]
    with duckdb.connect() as connection:
        connection.execute("create schema monitoring; create schema serving")
        for table in (*tables, "serving.deployment_changes", "serving.approvals"):
            columns = ", ".join(f"{name} {kind}" for name, kind in program_tables()[table].items())
            connection.execute(f"create table {table} ({columns})")
        connection.execute("create table data_checks (source varchar, month date, is_finished boolean)")
        connection.execute(
            "create table alerts (kind varchar, source varchar, model_name varchar, model_version integer, "
            "raised_for date, subject varchar, value double, threshold double, severity varchar, message varchar)"
        )
        yield connection


def insert(con: duckdb.DuckDBPyConnection, table: str, row: Mapping[str, object]) -> None:
    marks = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    con.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))


def drift(con: duckdb.DuckDBPyConnection, found: str) -> list[tuple[object, ...]]:
    """Episodes of a score of which ``found`` has a letter a month: x for drift, - for none."""
    for number, letter in enumerate(found, start=1):
        month = f"2024-{number:02}-01"
        insert(con, "monitoring.score_drift", {**_OWNER, "month": month, "psi_limit": 0.2})
        if letter == "x":
            insert(con, "alerts", {**_OWNER, "kind": "score_drift", "raised_for": month, "subject": "probability"})
    return con.execute(
        f"select month(first_month), month(last_month), n_months, n_quiet_months, state "
        f"from ({model_sql('alert_episodes')}) order by first_month"
    ).fetchall()


@pytest.mark.parametrize(
    ("found", "episodes"),
    [
        ("--x", [(3, 3, 1, 0, "new")]),
        ("xx-", [(1, 2, 2, 1, "continuing")]),
        ("xx--", [(1, 2, 2, 2, "ended")]),
        # a figure beside its limit is one episode
        ("x-x-x", [(1, 5, 3, 0, "continuing")]),
        ("x--x", [(1, 1, 1, 3, "ended"), (4, 4, 1, 0, "new")]),
    ],
)
def test_a_figure_of_drift_ends_after_two_quiet_months(
    con: duckdb.DuckDBPyConnection, found: str, episodes: list[tuple[object, ...]]
) -> None:
    assert drift(con, found) == episodes


def test_a_broken_contract_ends_when_a_check_has_found_it_no_more(con: duckdb.DuckDBPyConnection) -> None:
    """No month was measured after it, so that months alone would keep it open for ever."""
    for column, mended in (("a", None), ("b", "2024-04-02")):
        of_rule = {"table_name": "features.f", "column_name": column, "rule": "not missing", "n_failed": 1}
        insert(con, "monitoring.contract_violations", {**of_rule, "mended_at": mended})
        subject = f"features.f.{column} at 7: not missing"
        insert(con, "alerts", {"kind": "contract", "raised_for": "2024-04-01", "subject": subject})

    states = con.execute(f"select subject, state from ({model_sql('alert_episodes')}) order by subject").fetchall()

    assert states == [("features.f.a: not missing", "continuing"), ("features.f.b: not missing", "ended")]
