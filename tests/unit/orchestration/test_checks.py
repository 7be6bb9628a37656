"""What stops a run whose lender lost too many rows."""

import dagster as dg
import pytest

from orchestration.defs.warehouse.checks import few_rows_are_set_aside, require_few_set_aside
from orchestration.lib.run_settings import RunSettings
from warehouse.errors import RunRefused
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture
def bad_file(home: Settings) -> Settings:
    """A home whose lender `bank` lost every row of a file."""
    with writer("test", home) as con:
        con.execute(
            "create table staging.rows_set_aside as select 'bank' as source, 'loans' as entity, 'a.csv' as file, "
            "2000 as n_rows, 2000 as n_set_aside, 1.0::double as set_aside_share, 0.2::double as max_share, "
            "false as is_replaced, false as is_accepted"
        )
        con.execute(
            "create table raw.quarantine as select 'bank' as source, 'loans' as entity, 'a.csv' as file, "
            "range as line, 'bal' as column_name, 'must be a number' as reason from range(2000)"
        )
    return home


def checked(source: str) -> dg.AssetCheckResult:
    result = few_rows_are_set_aside(RunSettings(source=source))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_a_lender_that_lost_too_many_rows_fails_its_check_with_the_reasons(bad_file: Settings) -> None:
    result = checked("bank")

    assert not result.passed
    assert str(result.description).startswith(
        "bank loans: 2,000 of 2,000 rows set aside (100 %): bal must be a number (2,000). More than 20 % of a.csv. "
    )
    (spec,) = few_rows_are_set_aside.check_specs
    assert spec.blocking


def test_another_lender_goes_on(bad_file: Settings) -> None:
    assert checked("union").passed
    require_few_set_aside(bad_file, "union", before="the training set")


def test_nothing_is_trained_on_what_is_left(bad_file: Settings) -> None:
    with pytest.raises(RunRefused, match=r"the training set must wait: bank loans: 2,000 of 2,000 rows set aside"):
        require_few_set_aside(bad_file, "bank", before="the training set")
