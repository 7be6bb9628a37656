"""Months built again, where dbt cannot build them."""

import json
from types import SimpleNamespace

import pytest
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from orchestration.defs.warehouse.months import build_layers
from warehouse.settings import Settings


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
