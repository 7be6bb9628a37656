"""What `loanlake status` and the summary of a run say of alerts."""

import duckdb
import pytest

from orchestration.defs.monitoring.alerts import alert_lines


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema monitoring")
    con.execute("""
        create table monitoring.alert_episodes as
        from (values
            ('bank', 'feature_drift', 'purpose', date '2025-12-01', date '2025-12-01', 1, 'new', 0.2139, 0.2, 'low'),
            ('bank', 'feature_drift', 'term', date '2025-09-01', date '2025-12-01', 4, 'continuing', 0.9, 0.2, 'high'),
            ('bank', 'feature_drift', 'rate', date '2025-10-01', date '2025-12-01', 3, 'continuing', 0.3, 0.2, 'low'),
            ('bank', 'feature_drift', 'rate', date '2025-01-01', date '2025-02-01', 2, 'ended', 0.3, 0.2, 'low'),
            ('other', 'gate', 'leakage', date '2025-12-01', date '2025-12-01', 1, 'new', null, null, 'low')
        ) as episodes (
            source, kind, subject, first_month, last_month, n_months, state, value, threshold, severity
        )""")
    return con


def test_what_is_new_comes_first_and_what_goes_on_is_one_line(con: duckdb.DuckDBPyConnection) -> None:
    assert alert_lines(con, "bank") == [
        "1 new, 2 continuing, 1 ended (monitoring.alert_episodes)",
        "new in 2025-12: bank feature_drift purpose 0.214 (limit 0.2), low",
        "continuing: bank feature_drift term (4 months, high), rate (3 months)",
    ]


def test_without_a_lender_all_are_shown(con: duckdb.DuckDBPyConnection) -> None:
    assert "new in 2025-12: other gate leakage, low" in alert_lines(con)


def test_many_new_alerts_are_counted_behind_the_first_ten(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        insert into monitoring.alert_episodes
        select 'many', 'feature_drift', 'feature ' || n, '2025-12-01', '2025-12-01', 1, 'new', 1, 0.2, 'low'
        from range(25) as numbers (n)""")

    lines = alert_lines(con, "many")

    assert len(lines) == 12
    assert lines[-1] == "and 15 more new ones"


def test_no_alert_is_said(con: duckdb.DuckDBPyConnection) -> None:
    assert alert_lines(con, "nobody") == ["none"]
