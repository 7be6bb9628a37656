"""A report of a past month is about the version of that time, and says why."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date

import pytest

from ml.pages import version_of_month as module
from ml.pages.reading import Tables
from ml.pages.version_of_month import version_of_month
from ml.registry.deployment import Change, Deployment, read_deployment
from tests.model_factory import MODEL_NAME, SOURCE, publish_model
from tests.prepared_tables import fill_tables
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Version 1 is in service; it scored 2025-03 afterwards, and 5 decided on 40 applications of 2025-04, 4 on 60."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("month") / "home")})
    publish_model(settings)
    fill_tables(settings)
    with writer("tests", settings) as con:
        for version, n in ((4, 60), (5, 40)):
            con.execute(
                "insert into portfolio.bands (source, model_name, model_version, is_backfill, month, n_decisions) "
                "values ($1, $2, $3, false, '2025-04-01', $4)",
                [SOURCE, MODEL_NAME, version, n],
            )
    return settings


def chosen(settings: Settings, month: date) -> tuple[int, str]:
    with closing(connect(settings)) as con:
        found = version_of_month(Tables(con, SOURCE, month), settings)
    assert found is not None
    return found.model_version, found.why


def history(settings: Settings, *changes: tuple[str, int]) -> Sequence[Change]:
    now = read_deployment(settings, SOURCE)
    assert isinstance(now, Deployment)
    return [Change("publish", at, "ann", replace(now, model_version=version)) for at, version in changes]


def test_it_is_the_one_that_decided_on_most_applications_and_the_others_are_named(lender: Settings) -> None:
    assert chosen(lender, date(2025, 4, 1)) == (
        4,
        "it decided on 60 applications of 2025-04; version 5 decided on 40",
    )


def test_without_decisions_it_is_the_one_in_service_at_the_end_of_the_month(
    lender: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores made afterwards are no decisions of the month."""
    found = history(
        lender, ("2025-01-10T00:00:00+00:00", 2), ("2025-03-31T23:59:00+00:00", 3), ("2025-04-01T00:00:00+00:00", 4)
    )
    monkeypatch.setattr(module, "read_history", lambda *_: found)

    assert chosen(lender, date(2025, 3, 1))[0] == 3
    assert chosen(lender, date(2025, 1, 1))[0] == 2


def test_where_nothing_served_yet_it_is_the_one_in_service_and_says_that_it_scored_afterwards(lender: Settings) -> None:
    version, why = chosen(lender, date(2025, 3, 1))

    assert version == 1
    assert why.startswith("nothing was in service in 2025-03: it is the one in service now")
