"""Settings that the built tables do not have yet."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ml.lender_check.changes import built_settings, changed_settings
from warehouse.lenders.lender import LabelSettings, Lender, SetAsideSettings

LENDER = Lender(Path("bank.yml"))


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A lake whose last build had the settings of a file that sets nothing, as the model's SQL writes them."""
    con = duckdb.connect()
    con.execute("create schema core")
    con.execute(
        "create table core.int_lenders as select 'bank' as source, true as is_dated, "
        "cast(null as integer) as label_window_months, 5 as outcome_lag_months, 1 as window_lag_months, "
        "'time' as split_by, 6 as tune_months, 6 as test_months, 500 as split_min_rows, 50 as split_min_defaults, "
        "cast(0.34 as double) as split_max_share, ',all,purpose,region,' as cohort_segments, 12 as cohort_months, "
        "cast(50 as double) as cohort_smoothing, cast(0.2 as double) as max_set_aside_share, '::' as accepted_files, "
        "cast(null as double) as loss_given_default"
    )
    return con


def test_the_same_settings_are_no_change(con: duckdb.DuckDBPyConnection) -> None:
    assert changed_settings(con, "bank", LENDER) == ()
    assert changed_settings(con, "not built", LENDER) == ()


def test_each_changed_key_is_named_with_both_values(con: duckdb.DuckDBPyConnection) -> None:
    edited = replace(LENDER, label=LabelSettings(window_months=12), set_aside=SetAsideSettings(0.5, ("loans/a.csv",)))

    assert changed_settings(con, "bank", edited) == (
        "label.window_months (built with null, now 12)",
        "set_aside.max_share (built with 0.2, now 0.5)",
        "set_aside.accepted_files (built with none, now loans/a.csv)",
    )


def test_every_setting_that_sql_reads_is_compared(dbt_manifest: Path) -> None:
    columns = json.loads(dbt_manifest.read_text())["nodes"]["model.loanlake.int_lenders"]["columns"]

    assert {"source", *built_settings(LENDER)} == set(columns)
