"""A family that learns from open loans knows of each on a day how long it was observed, and nothing later."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ml.training.training_set import TrainingSet
from ml.walk_forward.rows import KnownRows
from tests.model_factory import CONTRACT, FAMILIES, SOURCE
from tests.unit.ml.walk_forward.conftest import AUGUST, JULY, WINDOW, History
from warehouse.lake.connection import connect, current_snapshot

#: Loans of the last months before July 2021: open then, and observed to 2021-03-01, four months of lag before.
OPEN = "application_id in (select application_id from training.lbl_default where decided_at > '2020-12-01')"


@contextmanager
def rows_of(history: History) -> Iterator[KnownRows]:
    with closing(connect(history.settings)) as con:
        yield KnownRows(
            con,
            history.rule,
            CONTRACT,
            source=SOURCE,
            snapshot=current_snapshot(con),
            window_months=WINDOW,
            exposures=True,
        )


def known_on(history: History, day: date = JULY) -> TrainingSet:
    with rows_of(history) as rows:
        return rows.training_set(day)


def test_open_loans_are_observed_until_all_defaults_are_known(history: History) -> None:
    """March 2021 less the decision, over the four months of the window; every outcome comes three months after it."""
    rows = known_on(history)
    loans, mature = rows.rows("open"), rows.rows("train", "tune", "test")

    observed_until = loans["label_known_at"].unique().tolist()
    age = (loans["label_known_at"] - loans["decided_at"]).dt.total_seconds()
    assert [f"{each:%Y-%m-%d}" for each in observed_until] == ["2021-03-01"]
    assert loans["decided_at"].max() < loans["label_known_at"].max()
    # within a percent: four months have 120 to 123 days
    good = ~loans["is_default_so_far"]
    np.testing.assert_allclose(loans["observed_windows"][good], age[good] / (121.5 * 86400), rtol=0.02)
    assert loans["is_default_so_far"].any()
    assert (loans["observed_windows"][~good] > 0.7).all()
    assert (mature["observed_windows"][~mature["is_default_so_far"]] >= 1).all()
    assert (mature["is_default_so_far"] >= mature["is_default"]).all()


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(f"set is_default = true, known_at = '2021-07-01 00:00:01' where {OPEN}", id="known later"),
        pytest.param(
            "set is_default = not is_default, known_at = '2021-05-01' "
            "where outcome_at >= '2021-03-01' and outcome_at < '2021-05-01'",
            id="known early, of some loans only",
        ),
    ],
)
def test_an_outcome_that_was_not_known_of_all_changes_nothing(history: History, planted: str) -> None:
    """The second: a default after all are known counts for nobody, or young loans would look worse than they are."""
    before = known_on(history)

    with history.planted(planted):
        assert known_on(history).sha256 == before.sha256


def test_a_default_in_the_time_that_is_known_counts(history: History) -> None:
    """Shows that the test above can fail."""
    before = known_on(history)

    with history.planted(
        f"set is_default = true, outcome_at = '2021-02-15', known_at = '2021-03-01' where {OPEN} and not is_default"
    ):
        after = known_on(history)

    assert after.sha256 != before.sha256
    assert after.rows("open")["is_default_so_far"].sum() > before.rows("open")["is_default_so_far"].sum()


def test_each_day_has_its_own_exposures(history: History) -> None:
    with rows_of(history) as rows:
        july, august = rows.training_set(JULY), rows.training_set(AUGUST)
        again = rows.training_set(JULY)

    assert july.sha256 == again.sha256 != august.sha256
    assert len(august.rows("open")) > 0


def test_a_walk_trains_the_family_and_decides(history: History) -> None:
    training = replace(FAMILIES["hazard"], half_life_months=12.0)

    (month,) = history.walk(JULY, JULY, run="hazard", policies=("monthly",), training=training)

    assert month.is_promoted
    assert month.n_decisions > 0
