"""Green upstream, asked across runs."""

import json
from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.lib.lenders import LENDERS
from orchestration.lib.upstream_checks import require_green
from warehouse.errors import OtherRunUnderWay, RunRefused
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


def ask(instance: dg.DagsterInstance, settings: Settings, *, run_id: str = "asking") -> int:
    return require_green(instance, settings, SPECS, before="the training set", run_id=run_id)


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


def test_a_check_in_the_run_of_a_lender_is_of_the_table_that_the_run_rebuilt(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """In such a run Dagster notes no materialisation for the check of a table without partitions."""

    @dg.asset(partitions_def=LENDERS)
    def model() -> None:
        """Makes it a run of a lender."""

    assets = [loans, ids_are_unique(passed=True), model]
    dg.materialize(assets, instance=instance, partition_key="simulated")

    assert ask(instance, home) == 1


def test_a_check_that_another_lenders_run_has_yet_to_evaluate_is_waited_for(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """Two trainings that a schedule starts together rebuild the same tables, one after the other."""
    asked: dict[str, Exception] = {}

    @dg.asset(deps=[loans])
    def meanwhile(context: dg.AssetExecutionContext) -> None:
        for name, run_id in (("another run", "r"), ("the run itself", context.run.run_id)):
            with pytest.raises(RunRefused) as refused:
                ask(instance, home, run_id=run_id)
            asked[name] = refused.value

    run(instance, loans, ids_are_unique(passed=True))
    run(instance, loans, meanwhile)

    assert isinstance(asked["another run"], OtherRunUnderWay)
    assert not isinstance(asked["the run itself"], OtherRunUnderWay), "it would wait for a check that it does not make"


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
