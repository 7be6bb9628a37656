"""What stops a run: too many rows lost, or a gate; each lender for itself."""

import dagster as dg
import pytest

from ml.judging.gates import GATES
from orchestration.defs.training.candidates import Judgement, candidate_directory, set_current
from orchestration.defs.training.checks import gates
from orchestration.defs.warehouse.checks import (
    few_rows_are_set_aside,
    judged_losses,
    require_few_set_aside,
    rows_set_aside,
)
from orchestration.lib.layers import REGISTERED_MODEL
from orchestration.lib.lenders import LENDERS
from warehouse.errors import RunRefused
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture
def bad_file(home: Settings) -> Settings:
    """A home whose lender `lending_club` lost every row of a file."""
    with writer("test", home) as con:
        con.execute(
            "create table staging.rows_set_aside as select 'lending_club' as source, 'loans' as entity, "
            "'a.csv' as file, 2000 as n_rows, 2000 as n_set_aside, 1.0::double as set_aside_share, "
            "0.2::double as max_share, false as is_replaced, false as is_accepted"
        )
        con.execute(
            "create table raw.quarantine as select 'lending_club' as source, 'loans' as entity, 'a.csv' as file, "
            "range as line, 'bal' as column_name, 'must be a number' as reason from range(2000)"
        )
    return home


def checked(home: Settings, lender: str | None) -> dg.AssetCheckResult:
    return judged_losses(rows_set_aside(home, lender), lender)


def test_a_lender_that_lost_too_many_rows_fails_its_check_with_the_reasons(bad_file: Settings) -> None:
    result = checked(bad_file, "lending_club")

    assert not result.passed
    assert str(result.description).startswith(
        "lending_club loans: 2,000 of 2,000 rows set aside (100 %): bal must be a number (2,000). More than 20 % of a."
    )
    (spec,) = few_rows_are_set_aside.check_specs
    assert spec.blocking


def test_another_lender_goes_on(bad_file: Settings) -> None:
    assert checked(bad_file, "uci_credit_card").passed
    require_few_set_aside(bad_file, "uci_credit_card", before="the training set")


def test_a_run_of_no_lender_shows_what_every_lender_lost(bad_file: Settings) -> None:
    result = checked(bad_file, None)

    assert not result.passed
    assert result.metadata["lender"].value == "all"


def test_nothing_is_trained_on_what_is_left(bad_file: Settings) -> None:
    with pytest.raises(
        RunRefused, match=r"the training set must wait: lending_club loans: 2,000 of 2,000 rows set aside"
    ):
        require_few_set_aside(bad_file, "lending_club", before="the training set")


@dg.asset(key=REGISTERED_MODEL, partitions_def=LENDERS)
def registered_model() -> None:
    """In place of the real one, which MLflow takes seconds for."""


@dg.asset(deps=[REGISTERED_MODEL], partitions_def=LENDERS)
def promotion() -> None:
    """What a gate must keep from running."""


def judge(home: Settings, lender: str, *, refused_by: str = "") -> None:
    directory = candidate_directory(home, lender, "f")
    found = [
        {"gate": gate.name, "passed": gate.name != refused_by, "required": "", "found": "", "message": "as planned"}
        for gate in GATES
    ]
    directory.write_judgement(Judgement(None, tuple(found)))
    set_current(home, lender, directory)


def test_a_refused_candidate_of_one_lender_is_not_promoted_and_stops_no_other_lender(home: Settings) -> None:
    """Both have their own result of each gate, which names the lender."""
    judge(home, "lending_club", refused_by="auc_reaches_floor")
    judge(home, "simulated")
    graph = [registered_model, gates, promotion]

    with dg.DagsterInstance.ephemeral() as instance:
        results = {
            lender: dg.materialize(graph, partition_key=lender, instance=instance, raise_on_error=False)
            for lender in ("lending_club", "simulated")
        }
        promoted = instance.get_materialized_partitions(promotion.key)

    assert {lender: result.success for lender, result in results.items()} == {"lending_club": False, "simulated": True}
    assert promoted == {"simulated"}
    [refused] = [check for check in results["lending_club"].get_asset_check_evaluations() if not check.passed]
    assert (refused.check_name, refused.description) == ("auc_reaches_floor", "lending_club: as planned")
    assert refused.metadata["lender"].value == "lending_club"
    assert all(check.passed for check in results["simulated"].get_asset_check_evaluations())


def test_gates_without_a_lender_say_what_to_materialise(home: Settings) -> None:
    job = dg.Definitions(
        asset_checks=[gates], jobs=[dg.define_asset_job("gates", selection=dg.AssetSelection.all_asset_checks())]
    )

    done = job.resolve_job_def("gates").execute_in_process(raise_on_error=False)

    [failed] = [event for event in done.all_events if event.is_step_failure]
    assert "the gates judge one lender's version: found a run without a lender" in str(failed.step_failure_data)
