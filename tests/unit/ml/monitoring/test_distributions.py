"""Drift of numbers and labels against scipy and NumPy, on the same values; months are read from DuckDB."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

import duckdb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.monitoring.distributions import (
    PSEUDO_COUNT,
    Cuts,
    chi_squared,
    deciles_cut,
    months_apart,
    population_stability,
    widest_gap,
)
from ml.monitoring.drift import FeatureDrift, compare_features, ks_p_value
from ml.monitoring.samples import CURRENT, REFERENCE, read_columns
from warehouse.features.columns import FeatureColumn
from warehouse.features.contract import FeatureContract

JANUARY, FEBRUARY = date(2024, 1, 1), date(2024, 2, 1)
NUMBER = FeatureColumn("x", "double", "A number.", "numeric", range=(0, 10), reason="x")
LABEL = FeatureColumn("x", "varchar", "A label.", "categorical", values=("a", "b", "c"), reason="x")

# few distinct values, so that ties within and between the samples are common
numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([math.inf, -math.inf]))
samples = st.lists(st.one_of(numbers, st.none()), min_size=1, max_size=40)
labels = st.lists(st.sampled_from(["a", "b", "c", "unlisted", None]), min_size=1, max_size=60)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    # one for the whole module: opening one for each example took most of the time
    con = duckdb.connect()
    con.execute("set threads = 1")
    return con


def _compare(
    reference: Sequence[object], current: Mapping[date, Sequence[object]], feature: FeatureColumn
) -> dict[date, FeatureDrift]:
    con = _database()
    data_type = feature.data_type
    con.execute(
        f"create or replace temp table {REFERENCE} as select $1 as month, unnest($2::{data_type}[]) as x",
        [JANUARY, reference],
    )
    con.execute(f"create or replace temp table {CURRENT} (month date, x {data_type})")
    for month, values in current.items():
        con.execute(f"insert into {CURRENT} select $1, unnest($2::{data_type}[])", [month, values])
    contract = FeatureContract(version="v1", inputs=(), features=(feature,), sql="select 1 from inputs")
    n_decisions = sum(map(len, current.values()))
    compared = compare_features(con, contract, n_reference=len(reference), n_decisions=n_decisions)
    return {row.month: row for row in compared}


def _psi(reference: Counter, current: Counter) -> float:
    bins = sorted(set(reference) | set(current), key=str)
    r = np.array([reference[b] for b in bins], dtype=float) + PSEUDO_COUNT
    c = np.array([current[b] for b in bins], dtype=float) + PSEUDO_COUNT
    r, c = r / r.sum(), c / c.sum()
    return float(((c - r) * np.log(c / r)).sum())


def _bin(value: float | None, cuts: Cuts) -> int | None:
    return None if value is None else sum(value > cut for cut in cuts.above) + sum(value >= cut for cut in cuts.at)


@settings(max_examples=60, deadline=None)
@given(reference=samples, current=samples)
@example(reference=[1.0, 2.0], current=[3.0])  # nothing in common
@example(reference=[2.0], current=[2.0])  # nothing else
def test_ks_equals_scipy(reference: list[float | None], current: list[float | None]) -> None:
    found = _compare(reference, {JANUARY: current}, NUMBER)[JANUARY]

    present = [[value for value in sample if value is not None] for sample in (reference, current)]
    if all(present):
        assert found.ks == pytest.approx(stats.ks_2samp(*present).statistic, abs=1e-12)
        assert found.ks_p_value == ks_p_value(found.ks, *map(len, present))
    else:
        assert (found.ks, found.ks_p_value) == (None, None)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 3_000), st.integers(1, 3_000)),
    decimals=st.integers(0, 6),
    moved=st.sampled_from([0.0, 0.0, 0.001, 0.05, 3.0]),
)
def test_ks_of_samples_beyond_the_grid_equals_scipy(
    seed: int, sizes: tuple[int, int], decimals: int, moved: float
) -> None:
    """Values between the grid's points are only looked at where they can be the widest gap: none may be missed."""
    generator = np.random.default_rng(seed)
    reference, current = (np.sort(generator.normal(0, 1, size).round(decimals)) for size in sizes)
    current = current + moved

    assert widest_gap(reference, current) == pytest.approx(stats.ks_2samp(reference, current).statistic, abs=1e-12)


def test_a_gap_between_two_points_of_the_grid_is_found() -> None:
    """Half of the reference lies between the 32nd and the 33rd current value, of 129: far from values 0, 64 and 128."""
    current = np.arange(129.0)
    reference = np.sort(np.concatenate([np.linspace(0, 128, 129), np.full(129, 31.5)]))

    assert widest_gap(reference, current) == pytest.approx((32 + 129) / 258 - 32 / 129)


@settings(max_examples=60, deadline=None)
@given(reference=samples, current=samples)
def test_psi_of_numbers_equals_numpy(reference: list[float | None], current: list[float | None]) -> None:
    found = _compare(reference, {JANUARY: current}, NUMBER)[JANUARY].psi

    present = sorted(value for value in reference if value is not None)
    deciles = [present[max(math.ceil(len(present) * tenth / 10), 1) - 1] for tenth in range(1, 10)] if present else []
    cuts = Cuts(tuple(sorted(set(deciles))), tuple(sorted({d for d in deciles if deciles.count(d) > 1})))
    expected = _psi(Counter(_bin(v, cuts) for v in reference), Counter(_bin(v, cuts) for v in current))
    assert found == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(reference=labels, current=labels)
def test_psi_and_chi_squared_of_labels_equal_numpy_and_scipy(
    reference: list[str | None], current: list[str | None]
) -> None:
    found = _compare(reference, {JANUARY: current}, LABEL)[JANUARY]

    assert found.psi == pytest.approx(_psi(Counter(reference), Counter(current)), abs=1e-12)
    table = [[sample.count(v) for v in ("a", "b", "c", "unlisted")] for sample in (reference, current)]
    columns = [column for column in zip(*table, strict=True) if sum(column)]
    if len(columns) < 2 or not all(map(sum, table)):
        assert (found.chi2, found.chi2_p_value) == (None, None)
    else:
        expected = stats.chi2_contingency(np.array(columns).T, correction=False)
        assert found.chi2 == pytest.approx(expected.statistic, abs=1e-9)
        assert found.chi2_p_value == pytest.approx(expected.pvalue)


def test_psi_by_hand() -> None:
    """Reference 9 a, 1 b; month 4 a, 6 b: shares (9.5, 1.5) / 11 and (4.5, 6.5) / 11."""
    by_hand = (4.5 - 9.5) / 11 * math.log(4.5 / 9.5) + (6.5 - 1.5) / 11 * math.log(6.5 / 1.5)

    assert population_stability([9, 1, 0], [4, 6, 0]) == (pytest.approx(by_hand), 2)


def test_chi_squared_of_a_single_label_or_an_empty_side_is_none() -> None:
    assert chi_squared([3, 0], [4, 0]) is None
    assert chi_squared([3, 2], [0, 0]) is None


def test_every_month_is_compared_by_itself() -> None:
    """A reading of all months at once must not let one month's rows count in another's shares."""
    reference = [float(value) for value in range(20)]

    together = _compare(reference, {JANUARY: reference, FEBRUARY: [100.0, None]}, NUMBER)

    assert together[JANUARY] == _compare(reference, {JANUARY: reference}, NUMBER)[JANUARY]
    assert together[FEBRUARY] == _compare(reference, {FEBRUARY: [100.0, None]}, NUMBER)[FEBRUARY]
    assert together[JANUARY].psi == pytest.approx(0)
    assert together[FEBRUARY].ks == 1


@pytest.mark.parametrize("moved_to", [3.0, 7.0])
def test_a_constant_column_that_moves_is_seen(moved_to: float) -> None:
    """With deciles alone every value up to the constant would share its bin, and a fall would be invisible."""
    found = _compare([5.0] * 100, {JANUARY: [moved_to] * 100}, NUMBER)[JANUARY]

    assert found.psi > 5


def test_zeros_that_become_many_are_seen_where_most_deciles_are_one() -> None:
    reference, current = [0.0] * 5 + [1.0] * 95, [0.0] * 50 + [1.0] * 50

    found = _compare(reference, {JANUARY: current}, NUMBER)[JANUARY]

    assert found.psi > 1


@settings(max_examples=60, deadline=None)
@given(reference=samples, current=samples)
def test_bins_of_sorted_and_of_unsorted_values_are_the_same(
    reference: list[float | None], current: list[float | None]
) -> None:
    """Months of the reference are counted as its rows stand, months of decisions once they are sorted."""
    then, now = (np.array([np.nan if value is None else value for value in side]) for side in (reference, current))
    cuts = deciles_cut(np.sort(then[~np.isnan(then)]))

    counted = cuts.counts(np.sort(now[~np.isnan(now)]), int(np.isnan(now).sum()))

    assert counted.tolist() == np.bincount(cuts.bins_of(now), minlength=cuts.n_bins + 1).tolist()


@pytest.mark.parametrize(
    ("labels_of_rows", "values", "counted"),
    [
        (["missing", None, "other", "elsewhere"], ("missing", "other"), [1, 1, 1, 1]),
        (["don't know", "don't know"], ("don't know",), [2, 0, 0]),
    ],
)
def test_a_listed_value_is_neither_a_missing_one_nor_sql(
    labels_of_rows: list[str | None], values: tuple[str, ...], counted: list[int]
) -> None:
    feature = FeatureColumn("x", "varchar", "A label.", "categorical", values=values, reason="x")
    _compare(labels_of_rows, {JANUARY: labels_of_rows}, feature)

    codes = read_columns(_database(), CURRENT, [feature], most_rows=len(labels_of_rows)).values["x"]

    assert np.bincount(codes, minlength=len(values) + 2).tolist() == counted


def test_a_month_of_the_reference_is_compared_with_its_other_months() -> None:
    """Each month's PSI is what a comparison of its rows with all others, in the same bins, gives."""
    months = {1: [1.0, 2.0, None], 2: [2.0, 4.0, None], 3: [3.0, 6.0, None]}
    tells_nothing = {0: [None, None]}  # before there was any value
    rows = [(month, value) for month, values in {**tells_nothing, **months}.items() for value in values]
    values_of_rows = np.array([math.nan if value is None else value for _, value in rows])
    cuts = deciles_cut(np.sort(values_of_rows[~np.isnan(values_of_rows)]))

    found = months_apart(np.array([month for month, _ in rows]), cuts.bins_of(values_of_rows), cuts.n_bins)

    expected = []
    for month, values in months.items():
        others = [value for other, value in rows if other != month]
        expected.append(_psi(Counter(_bin(v, cuts) for v in others), Counter(_bin(v, cuts) for v in values)))
    assert found == pytest.approx(expected)
