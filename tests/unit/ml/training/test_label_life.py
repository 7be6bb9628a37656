"""A dated lender without terms and without a label window is stopped with the key to set."""

import duckdb
import pytest

from ml.training.label_life import loans_without_a_life, require_a_life
from warehouse.errors import TrainingSetError


def _lake(*terms: int | None, is_dated: bool = True, window: int | None = None) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema core")
    con.execute(
        "create table core.int_lenders as select 'mybank' as source, $dated as is_dated, "
        "cast($window as integer) as label_window_months",
        {"dated": is_dated, "window": window},
    )
    con.execute(
        "create table core.int_applications as "
        "select 'mybank' as source, cast(unnest($terms) as integer) as term_months",
        {"terms": list(terms)},
    )
    return con


def test_without_term_and_window_training_stops_with_the_key_to_set() -> None:
    with pytest.raises(
        TrainingSetError, match=r"found 2 of 2 loans of mybank without a term, and no window"
    ) as stopped:
        require_a_life(_lake(None, None), "mybank")

    assert "label: {window_months: 12}` in warehouse/lenders/mybank.yml" in str(stopped.value)


def test_some_loans_without_a_term_are_counted_and_stop_nothing() -> None:
    con = _lake(None, 12, 24)

    require_a_life(con, "mybank")

    found = loans_without_a_life(con, "mybank")
    assert found is not None
    assert (found.n_loans, found.n_all) == (1, 3)


@pytest.mark.parametrize(
    "lake", [_lake(12, 24), _lake(None, window=12), _lake(None, is_dated=False)], ids=["terms", "window", "undated"]
)
def test_a_term_a_window_or_no_dates_are_enough(lake: duckdb.DuckDBPyConnection) -> None:
    assert loans_without_a_life(lake, "mybank") is None
