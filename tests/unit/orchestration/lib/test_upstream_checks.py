"""Green upstream, asked across runs."""

import json
from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.lib.upstream_checks import require_green
from warehouse.errors import RunRefused
from warehouse.settings import Settings


@dg.asset(key=["core", "loans"])
def loans() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult()


def ids_are_unique(*, passed: bool) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=loans, name="ids_are_unique", blocking=True)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed)

    return check


SPECS = list(ids_are_unique(passed=True).check_specs)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(instance: dg.DagsterInstance, *assets: dg.AssetsDefinition) -> None:
    dg.materialize(list(assets), instance=instance, raise_on_error=False)


def ask(instance: dg.DagsterInstance, settings: Settings) -> int:
    return require_green(instance, settings, SPECS, before="the training set")


def test_checks_that_passed_on_the_table_as_it_is_are_green(home: Settings, instance: dg.DagsterInstance) -> None:
    run(instance, loans, ids_are_unique(passed=True))

    assert ask(instance, home) == 1


def test_a_check_that_failed_in_an_earlier_run_refuses(home: Settings, instance: dg.DagsterInstance) -> None:
    """dagster#25112: the failure is of a run that this one knows nothing of."""
    run(instance, loans, ids_are_unique(passed=False))

    with pytest.raises(RunRefused, match=r"1 of 1 are not: core/loans:ids_are_unique failed in run [0-9a-f]{8}"):
        ask(instance, home)


def test_a_check_that_never_ran_refuses(home: Settings, instance: dg.DagsterInstance) -> None:
    run(instance, loans)

    with pytest.raises(RunRefused, match="core/loans:ids_are_unique has not been evaluated"):
        ask(instance, home)


def test_a_table_made_anew_without_its_check_refuses(home: Settings, instance: dg.DagsterInstance) -> None:
    run(instance, loans, ids_are_unique(passed=True))
    run(instance, loans)

    with pytest.raises(RunRefused, match="ids_are_unique has not been evaluated since run"):
        ask(instance, home)


def test_a_check_that_was_mended_is_green_again(home: Settings, instance: dg.DagsterInstance) -> None:
    run(instance, loans, ids_are_unique(passed=False))
    run(instance, loans, ids_are_unique(passed=True))

    assert ask(instance, home) == 1


def test_a_check_that_another_run_has_only_planned_is_judged_by_its_last_result(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """A file that came into the inbox during a run planned a refresh, and the run ended: "has not been evaluated"."""
    job = dg.Definitions(
        assets=[loans], asset_checks=[ids_are_unique(passed=True)], jobs=[dg.define_asset_job("refresh")]
    ).resolve_job_def("refresh")
    run(instance, loans, ids_are_unique(passed=True))
    instance.create_run_for_job(job, asset_selection=frozenset({loans.key}))

    assert ask(instance, home) == 1


def test_what_dbt_could_not_report_as_a_check_refuses_too(home: Settings, instance: dg.DagsterInstance) -> None:
    """A model that failed to build, and a test of several models, are no asset checks."""
    run(instance, loans, ids_are_unique(passed=True))
    result = {
        "unique_id": "model.loanlake.int_outcomes",
        "status": "error",
        "message": "Runtime Error\n  no such column",
    }
    home.dbt_target.mkdir(parents=True)
    (home.dbt_target / "run_results.json").write_text(json.dumps({"results": [result]}))

    with pytest.raises(RunRefused, match=r"dbt int_outcomes \(no such column\)"):
        ask(instance, home)
