"""The drift SQL against scipy and NumPy, on the same values."""

import math
from collections import Counter
from datetime import date
from functools import cache

import duckdb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.monitoring.drift_sql import PSEUDO_COUNT, Cuts, label_sql, number_sql, read_cuts, reference_months_sql
from ml.monitoring.samples import CURRENT, REFERENCE
from warehouse.features.columns import FeatureColumn

JANUARY = date(2024, 1, 1)

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


def _connection(
    reference: list[object], current: dict[date, list[object]], data_type: str
) -> duckdb.DuckDBPyConnection:
    con = _database()
    con.execute(f"create or replace temp table {REFERENCE} as select unnest($1::{data_type}[]) as x", [reference])
    con.execute(f"create or replace temp table {CURRENT} (month date, x {data_type})")
    for month, values in current.items():
        con.execute(f"insert into {CURRENT} select $1, unnest($2::{data_type}[])", [month, values])
    return con


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> dict[date, dict[str, object]]:
    result = con.execute(statement)
    names = [column[0] for column in result.description]
    return {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}


def _compare_numbers(reference: list[float | None], current: dict[date, list[float | None]]) -> dict[date, dict]:
    con = _connection(reference, current, "double")
    return _rows(con, number_sql("x", read_cuts(con, ["x"])["x"]))


def _compare_labels(reference: list[str | None], current: list[str | None]) -> dict:
    con = _connection(reference, {JANUARY: current}, "varchar")
    return _rows(con, label_sql("x", ["a", "b", "c"]))[JANUARY]


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
    found = _compare_numbers(reference, {JANUARY: current})[JANUARY]["ks"]

    present = [[value for value in sample if value is not None] for sample in (reference, current)]
    if all(present):
        assert found == pytest.approx(stats.ks_2samp(*present).statistic, abs=1e-12)
    else:
        assert found is None


@settings(max_examples=60, deadline=None)
@given(reference=samples, current=samples)
def test_psi_of_numbers_equals_numpy(reference: list[float | None], current: list[float | None]) -> None:
    found = _compare_numbers(reference, {JANUARY: current})[JANUARY]["psi"]

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
    found = _compare_labels(reference, current)

    assert found["psi"] == pytest.approx(_psi(Counter(reference), Counter(current)), abs=1e-12)
    table = [[sample.count(v) for v in ("a", "b", "c", "unlisted")] for sample in (reference, current)]
    columns = [column for column in zip(*table, strict=True) if sum(column)]
    if len(columns) < 2 or not all(map(sum, table)):
        assert found["chi2"] is None
    else:
        expected = stats.chi2_contingency(np.array(columns).T, correction=False)
        assert found["chi2"] == pytest.approx(expected.statistic, abs=1e-9)
        assert found["chi2_freedom"] == expected.dof


def test_psi_by_hand() -> None:
    """Reference 9 a, 1 b; month 4 a, 6 b: shares (9.5, 1.5) / 11 and (4.5, 6.5) / 11."""
    found = _compare_labels(["a"] * 9 + ["b"], ["a"] * 4 + ["b"] * 6)

    by_hand = (4.5 - 9.5) / 11 * math.log(4.5 / 9.5) + (6.5 - 1.5) / 11 * math.log(6.5 / 1.5)
    assert found["psi"] == pytest.approx(by_hand)


def test_each_month_is_compared_by_itself() -> None:
    """A query over all months at once must not let one month's rows count in another's shares."""
    february = date(2024, 2, 1)
    reference = [float(value) for value in range(20)]

    together = _compare_numbers(reference, {JANUARY: reference, february: [100.0, None]})

    assert together[JANUARY] == _compare_numbers(reference, {JANUARY: reference})[JANUARY]
    assert together[february] == _compare_numbers(reference, {february: [100.0, None]})[february]
    assert together[JANUARY]["psi"] == pytest.approx(0)
    assert together[february]["ks"] == 1


@pytest.mark.parametrize("moved_to", [3.0, 7.0])
def test_a_constant_column_that_moves_is_seen(moved_to: float) -> None:
    """With deciles alone every value up to the constant would share its bin, and a fall would be invisible."""
    found = _compare_numbers([5.0] * 100, {JANUARY: [moved_to] * 100})[JANUARY]

    assert found["psi"] > 5


def test_zeros_that_become_many_are_seen_where_most_deciles_are_one() -> None:
    reference, current = [0.0] * 5 + [1.0] * 95, [0.0] * 50 + [1.0] * 50

    found = _compare_numbers(reference, {JANUARY: current})[JANUARY]

    assert found["psi"] > 1


def test_a_listed_value_named_missing_is_not_a_missing_value() -> None:
    con = _connection(["missing", None, "other"], {JANUARY: ["missing", "other", "elsewhere"]}, "varchar")

    found = _rows(con, label_sql("x", ["missing", "other"]))[JANUARY]

    assert (found["n_missing_reference"], found["n_missing_current"]) == (1, 0)
    assert found["n_bins"] == 4  # missing the value, other the value, no value, and any other value


def test_a_quote_in_a_value_is_text() -> None:
    con = _connection(["don't know"], {JANUARY: ["don't know"]}, "varchar")

    found = _rows(con, label_sql("x", ["don't know"]))[JANUARY]

    assert found["n_bins"] == 1


def test_a_month_of_the_reference_is_compared_with_its_other_months() -> None:
    """Each month's PSI is what a comparison of its rows with all others, in the same bins, gives."""
    months = {date(2024, month, 1): [float(month), 2.0 * month, None] for month in (1, 2, 3)}
    con = duckdb.connect()
    con.execute(f"create temp table {REFERENCE} (month date, x double)")
    for month, values in months.items():
        con.execute(f"insert into {REFERENCE} select $1, unnest($2::double[])", [month, values])
    cuts = read_cuts(con, ["x"])["x"]
    feature = FeatureColumn("x", "double", "A number.", "numeric", range=(0, 10), reason="x")

    found = dict(con.execute(reference_months_sql(feature, cuts)).fetchall())

    for month, values in months.items():
        others = [value for other, each in months.items() if other != month for value in each]
        expected = _psi(Counter(_bin(v, cuts) for v in others), Counter(_bin(v, cuts) for v in values))
        assert found[month] == pytest.approx(expected)
