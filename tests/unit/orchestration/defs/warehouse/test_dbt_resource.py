"""What is said of a dbt invocation that went wrong."""

import json
import os
from pathlib import Path

import dagster as dg
import pytest
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from orchestration.defs.warehouse.dbt_resource import failures_named


def leave_results(target: Path, *, of: str, invocation: str = "this one") -> None:
    """dbt's results with one failure."""
    target.mkdir(parents=True, exist_ok=True)
    result = {"unique_id": f"test.loanlake.{of}", "status": "fail", "message": "2 rows"}
    (target / "run_results.json").write_text(
        json.dumps({"metadata": {"invocation_id": invocation}, "results": [result]})
    )


def test_what_failed_in_dbt_is_named(tmp_path: Path) -> None:
    def build() -> None:
        with failures_named(tmp_path):
            leave_results(tmp_path, of="ids_are_unique")
            raise DagsterDbtCliRuntimeError("exit code 1")

    with pytest.raises(dg.Failure, match=r"dbt build: 1 failed: ids_are_unique \(2 rows\)"):
        build()


def test_results_are_an_invocations_own_by_its_id_whatever_the_clocks_say(tmp_path: Path) -> None:
    """A file's time comes from the kernel's coarse clock, some milliseconds behind that of the process."""
    leave_results(tmp_path, of="dates_are_dates", invocation="the one before")

    def build() -> None:
        with failures_named(tmp_path):
            leave_results(tmp_path, of="ids_are_unique")
            os.utime(tmp_path / "run_results.json", (1_000_000, 1_000_000))
            raise DagsterDbtCliRuntimeError("exit code 1")

    with pytest.raises(dg.Failure, match=r"dbt build: 1 failed: ids_are_unique"):
        build()


def test_an_invocation_that_ran_nothing_is_not_told_with_the_results_of_an_earlier_one(tmp_path: Path) -> None:
    """A project that does not parse was told as the failure of the day before, or as "0 failed"."""
    leave_results(tmp_path, of="ids_are_unique", invocation="yesterday's")

    with pytest.raises(DagsterDbtCliRuntimeError, match="cannot be parsed"), failures_named(tmp_path):
        raise DagsterDbtCliRuntimeError("the project cannot be parsed")


def test_an_invocation_without_any_results_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(DagsterDbtCliRuntimeError, match="cannot be parsed"), failures_named(tmp_path):
        raise DagsterDbtCliRuntimeError("the project cannot be parsed")


def test_a_model_that_failed_is_named_as_its_table_with_its_seconds_and_a_test_is_not(tmp_path: Path) -> None:
    """OpenLineage's event of the table is made of it."""

    def build() -> None:
        with failures_named(tmp_path):
            leave_results(tmp_path, of="ids_are_unique")
            results = json.loads((tmp_path / "run_results.json").read_text())
            results["results"].append(
                {"unique_id": "model.loanlake.int_loans", "status": "error", "message": "x", "execution_time": 1.5}
            )
            (tmp_path / "run_results.json").write_text(json.dumps(results))
            node = {"resource_type": "model", "config": {"schema": "core"}, "alias": "int_loans"}
            (tmp_path / "manifest.json").write_text(json.dumps({"nodes": {"model.loanlake.int_loans": node}}))
            raise DagsterDbtCliRuntimeError("exit code 1")

    with pytest.raises(dg.Failure, match="2 failed") as raised:
        build()

    assert raised.value.metadata["failed tables"].value == {"core.int_loans": 1.5}
