"""Which months Dagster offers, and months built again where dbt cannot build them."""

import json
from datetime import date
from types import SimpleNamespace

import pytest
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from orchestration.defs.warehouse.months import build_layers
from orchestration.lib.months import month_partitions, note_months
from warehouse.lake.connection import writer
from warehouse.settings import Settings


def decide(home: Settings, *decided_at: str) -> None:
    with writer("test", home) as con:
        con.execute("create schema if not exists core")
        con.execute("create or replace table core.int_applications (decided_at timestamp)")
        for moment in decided_at:
            con.execute("insert into core.int_applications values (?)", [moment])


def test_only_months_with_decisions_are_offered(home: Settings) -> None:
    """323 months since 2000 were shown as missing, of a lender of two and a half years."""
    decide(home, "2010-12-31 23:59:59", "2010-11-01", "2011-01-15")
    note_months(home)

    offered = month_partitions(home, fmt="%Y-%m", today=date(2026, 11, 29)).get_partition_keys()

    assert list(offered) == ["2010-11", "2010-12", "2011-01"]


def test_while_decisions_are_made_the_running_month_is_offered(home: Settings) -> None:
    decide(home, "2020-01-31", "2020-04-01")
    note_months(home)

    offered = month_partitions(home, with_running_month=True, today=date(2020, 6, 3))

    assert offered.get_first_partition_key() == "2020-01-01"
    assert (offered.end, offered.end_offset) == (None, 1)


def test_before_the_first_build_any_month_is_offered(home: Settings) -> None:
    decide(home)
    note_months(home)

    assert month_partitions(home, fmt="%Y-%m").get_first_partition_key() == "2000-01"


class BrokenDbt:
    """Ends before it runs anything, as for a project that does not parse."""

    def cli(self, *_: object, raise_on_error: bool = True, **__: object) -> SimpleNamespace:
        def wait() -> SimpleNamespace:
            if raise_on_error:
                raise DagsterDbtCliRuntimeError("the project cannot be parsed")
            return invocation

        invocation = SimpleNamespace(wait=wait, is_successful=lambda: False)
        return invocation


def test_a_dbt_that_ran_nothing_is_told_in_its_own_words(home: Settings) -> None:
    """It read "0 failed", or named what had failed in an earlier run."""
    home.dbt_target.mkdir(parents=True)
    results = home.dbt_target / "run_results.json"
    old = {"unique_id": "test.loanlake.old", "status": "fail"}
    results.write_text(json.dumps({"metadata": {"invocation_id": "yesterday's"}, "results": [old]}))

    with pytest.raises(DagsterDbtCliRuntimeError, match="cannot be parsed"):
        build_layers(BrokenDbt(), "staging", {}, home.dbt_target)  # type: ignore[arg-type]
