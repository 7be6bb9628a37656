"""What a change in the lake makes due, on one lake: each change is asked about from the snapshot before it."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from ml.monitoring.samples import MonitoredModel
from ml.monitoring.skew_months import months_to_measure
from warehouse.lake.connection import connect, current_snapshot, prepare
from warehouse.settings import Settings

MODEL = MonitoredModel("bank", "default_risk_bank", 1)
JANUARY, FEBRUARY = date(2024, 1, 1), date(2024, 2, 1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Decisions of two months, and core tables without rows."""
    home = Settings.from_environment({"LOANLAKE_HOME": str(Path(tmp_path_factory.mktemp("months")))})
    with connect(home, read_only=False) as con:
        prepare(con)
        for number, decided_at in enumerate([datetime(2024, 1, 31, 23), datetime(2024, 1, 5), datetime(2024, 2, 5)]):
            con.execute(
                "insert into serving.predictions "
                "(decision_id, decided_at, source, model_name, model_version, route, inputs) "
                "values ($1, $2, $3, $4, $5, 'online', '{}')",
                [f"d-{number}", decided_at, MODEL.source, MODEL.name, MODEL.version],
            )
        con.execute("create table core.int_applications (source varchar, known_at timestamp, decided_at timestamp)")
        for table in (
            "int_application_versions",
            "int_statements",
            "int_outcome_versions",
            "int_statements_bank",
            "int_statements_another",
        ):
            con.execute(f"create table core.{table} (source varchar, known_at timestamp)")
        con.execute("create view monitoring.decision_history as from serving.predictions")
        yield con


@pytest.mark.parametrize(
    ("change", "months"),
    [
        ("insert into serving.predictions by name select * replace ('d-4' as decision_id) "
            "from serving.predictions where decision_id = 'd-2'", [FEBRUARY]),
        ("insert into serving.shadow_predictions by name select * from serving.predictions where decision_id = 'd-1'",
            [JANUARY]),
        ("update serving.predictions set inputs = 'wrong' where decision_id = 'd-1'", [JANUARY]),
        ("delete from serving.predictions where decision_id = 'd-1'", [JANUARY]),
        # of another version, or written from the warehouse's own features
        ("insert into serving.predictions by name select * replace (2 as model_version) from serving.predictions", []),
        ("insert into serving.predictions by name select * replace ('backfill' as route) from serving.predictions", []),
        # known within January: history to later decisions of January; known as it ends: to those of February alone
        ("insert into core.int_statements values ('bank', '2024-01-31 12:00')", [JANUARY, FEBRUARY]),
        ("insert into core.int_statements values ('bank', '2024-02-01')", [FEBRUARY]),
        ("delete from core.int_statements where known_at = '2024-02-01'", [FEBRUARY]),
        # a lender's own columns of statements may change alone; another lender's are none of its history
        ("insert into core.int_statements_bank values ('bank', '2024-02-01')", [FEBRUARY]),
        ("insert into core.int_statements_another values ('another', '2024-01-01')", []),
        ("insert into core.int_application_versions values ('bank', '2024-02-01')", [FEBRUARY]),
        ("insert into core.int_outcome_versions values ('bank', '2024-03-01')", []),
        ("insert into core.int_outcome_versions values ('another', '2024-01-01')", []),
        # the moment that a decision stands for moves to that of its application, however late that arrives
        ("insert into core.int_applications values ('bank', '2024-03-01', '2024-02-02')", [FEBRUARY]),
        # nobody can tell what a table made anew, or another text of the history, changes
        ("create or replace table core.int_outcome_versions as from core.int_statements", None),
        ("create or replace view monitoring.decision_history as from serving.shadow_predictions", None),
        ("create table core.int_demographics (borrower_id varchar)", []),
    ],
)  # fmt: skip
def test_a_month_is_due_when_its_decisions_or_their_history_changed(lake, change, months):
    since = current_snapshot(lake)
    lake.execute(change)

    assert months_to_measure(lake, MODEL, since=since) == months


def test_all_months_are_due_that_were_never_measured(lake):
    assert months_to_measure(lake, MODEL, since=None) is None


def test_all_months_are_due_once_what_changed_has_expired(lake):
    """The last test: it takes the snapshots away."""
    since = current_snapshot(lake)
    lake.execute("create table core.anything (a integer)")
    lake.execute("create table core.anything_else (a integer)")
    lake.execute("call ducklake_expire_snapshots('lake', older_than => now())")

    assert months_to_measure(lake, MODEL, since=since) is None
