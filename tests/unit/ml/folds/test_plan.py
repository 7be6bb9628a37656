"""Folds walk forward in time, with labels that were known then where there are enough of them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.folds.plan import N_FOLDS, Fold, FoldPlan, plan_folds
from warehouse.errors import SettingError, TrainingSetError

#: Twenty months of 200 loans, every fifth a default.
DECIDED = np.datetime64("2020-01-15", "us") + np.repeat(np.arange(20), 200) * np.timedelta64(30, "D")
DEFAULTED = np.arange(4000) % 5 == 0


def after_months(n: int) -> NDArray[np.datetime64]:
    return DECIDED + np.timedelta64(30 * n, "D")


def learned(fold: Fold) -> NDArray[np.intp]:
    return np.concatenate([fold.train, fold.tune])


def test_a_fold_learns_only_from_labels_known_when_it_begins() -> None:
    known = after_months(5)

    plan = plan_folds(DECIDED, known, DEFAULTED, is_dated=True)

    assert plan.kind == "as known then"
    assert len(plan.folds) == N_FOLDS
    for fold in plan.folds:
        begin = DECIDED[fold.scored].min().astype("datetime64[M]")
        assert known[learned(fold)].max() <= begin
        assert DECIDED[fold.train].max() <= DECIDED[fold.tune].min()


def test_the_folds_part_the_later_half_of_the_rows_in_time() -> None:
    plan = plan_folds(DECIDED, after_months(5), DEFAULTED, is_dated=True)

    scored = np.concatenate([fold.scored for fold in plan.folds])
    assert len(np.unique(scored)) == len(scored)
    assert sorted(scored.tolist()) == list(range(scored.min(), 4000))
    assert 0.4 < len(scored) / 4000 < 0.6


def test_labels_that_come_after_years_give_folds_of_matured_loans_and_say_so() -> None:
    plan = plan_folds(DECIDED, after_months(36), DEFAULTED, is_dated=True)

    assert plan.kind == "matured"
    assert "became known later" in plan.reason
    for fold in plan.folds:
        assert DECIDED[learned(fold)].max() < DECIDED[fold.scored].min()


@pytest.mark.parametrize("is_dated", [True, False])
def test_loans_without_times_have_stratified_folds_of_which_nothing_is_out_of_time(is_dated: bool) -> None:
    one_month = np.full(4000, np.datetime64("2005-10-01", "us"))

    plan = plan_folds(one_month, one_month, DEFAULTED, is_dated=is_dated)

    assert plan.kind == "stratified"
    assert "time" not in plan.reason
    assert sorted(np.concatenate([fold.scored for fold in plan.folds]).tolist()) == list(range(4000))
    for fold in plan.folds:
        assert not set(fold.scored) & set(learned(fold))
        assert not set(fold.train) & set(fold.tune)
        assert DEFAULTED[fold.scored].mean() == pytest.approx(0.2)


def test_undated_loans_are_never_walked_through_even_if_their_files_came_in_months() -> None:
    assert plan_folds(DECIDED, after_months(1), DEFAULTED, is_dated=False).kind == "stratified"


@pytest.mark.parametrize("n_folds", [2, 5])
def test_the_number_of_folds_is_the_callers(n_folds: int) -> None:
    in_time = plan_folds(DECIDED, after_months(5), DEFAULTED, is_dated=True, n_folds=n_folds)
    stratified = plan_folds(DECIDED, DECIDED, DEFAULTED, is_dated=False, n_folds=n_folds)

    assert (len(in_time.folds), len(stratified.folds)) == (n_folds, n_folds)
    assert [len(fold.scored) for fold in stratified.folds] == [4000 // n_folds] * n_folds
    with pytest.raises(SettingError, match="at least 2: found 1"):
        plan_folds(DECIDED, DECIDED, DEFAULTED, is_dated=False, n_folds=1)


@pytest.mark.parametrize("n_defaults", [30, 32])
def test_three_hundred_loans_have_folds_with_as_many_defaults_as_the_message_says(n_defaults: int) -> None:
    month, defaulted = DECIDED[:300], np.arange(300) < n_defaults

    def plan() -> FoldPlan:
        return plan_folds(month, month, defaulted, is_dated=False, n_folds=5)

    if n_defaults < 32:
        with pytest.raises(TrainingSetError, match="5 folds need about 32 defaults"):
            plan()
    else:
        assert all(defaulted[fold.scored].sum() >= 5 for fold in plan().folds)


def test_too_few_defaults_are_refused() -> None:
    with pytest.raises(TrainingSetError, match="found 10 defaults in 4,000 rows"):
        plan_folds(DECIDED, after_months(1), np.arange(4000) < 10, is_dated=True)
