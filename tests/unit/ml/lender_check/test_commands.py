"""``loanlake lender check`` before there is anything to check; tests/integration checks built lenders."""

import pytest
from click.testing import CliRunner

from ml.lender_check.commands import check
from warehouse.errors import NoLakeError, NotFoundError
from warehouse.lake.connection import writer
from warehouse.settings import Settings


def _error(name: str) -> BaseException | None:
    return CliRunner().invoke(check, [name]).exception


def test_a_lender_that_is_not_built_is_told_the_commands_that_build_it(home: Settings) -> None:
    with writer("test", home):
        pass

    error = _error("mybank")

    assert isinstance(error, NotFoundError)
    assert "load its files with `loanlake ingest mybank FILES --entity …`, then run `dbt build --target prod`" in str(
        error
    )


def test_a_home_without_a_lake_is_an_error_that_says_so(home: Settings) -> None:
    assert isinstance(_error("mybank"), NoLakeError)


@pytest.mark.parametrize("name", ["../x", "My Bank"])
def test_a_name_that_no_lender_has_finds_nothing(home: Settings, name: str) -> None:
    with writer("test", home):
        pass

    assert isinstance(_error(name), NotFoundError)
