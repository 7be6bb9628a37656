"""What is said of a dbt invocation that went wrong."""

import json
import os
from pathlib import Path

import dagster as dg
import pytest
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from orchestration.dbt_project import failures_named


def leave_results(target: Path, *, of: str, at: float | None = None) -> None:
    """dbt's results with one failure; ``at``: when they were written, else now."""
    target.mkdir(parents=True, exist_ok=True)
    path = target / "run_results.json"
    path.write_text(
        json.dumps({"results": [{"unique_id": f"test.loanlake.{of}", "status": "fail", "message": "2 rows"}]})
    )
    if at is not None:
        os.utime(path, (at, at))


def test_what_failed_in_dbt_is_named(tmp_path: Path) -> None:
    def build() -> None:
        with failures_named(tmp_path):
            leave_results(tmp_path, of="ids_are_unique")
            raise DagsterDbtCliRuntimeError("exit code 1")

    with pytest.raises(dg.Failure, match=r"dbt build: 1 failed: ids_are_unique \(2 rows\)"):
        build()


def test_an_invocation_that_ran_nothing_is_not_told_with_the_results_of_an_earlier_one(tmp_path: Path) -> None:
    """A project that does not parse was told as the failure of the day before, or as "0 failed"."""
    leave_results(tmp_path, of="ids_are_unique", at=1_000_000)

    with pytest.raises(DagsterDbtCliRuntimeError, match="cannot be parsed"), failures_named(tmp_path):
        raise DagsterDbtCliRuntimeError("the project cannot be parsed")


def test_an_invocation_without_any_results_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(DagsterDbtCliRuntimeError, match="cannot be parsed"), failures_named(tmp_path):
        raise DagsterDbtCliRuntimeError("the project cannot be parsed")
