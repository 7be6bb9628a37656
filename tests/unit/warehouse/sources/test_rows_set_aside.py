"""What is said of rows that were set aside, by lender and kind of file."""

from collections.abc import Callable

import pytest

from warehouse.lake.connection import connect, writer
from warehouse.readers.csv_lines import NOTE
from warehouse.settings import DBT_PROJECT_DIR, Settings
from warehouse.sources.rows_set_aside import losses, too_much_text

Lose = Callable[..., None]


@pytest.fixture
def lose(home: Settings) -> Lose:
    """Set rows of a file aside, as a build leaves them: ``lose("a.csv", rows=10, amount=3)``."""
    with writer("test", home) as con:
        con.execute(
            "create table staging.rows_set_aside (source varchar, entity varchar, file varchar, n_rows bigint, "
            "n_set_aside bigint, set_aside_share double, max_share double, is_replaced boolean, is_accepted boolean)"
        )
        con.execute(
            "create table raw.quarantine "
            "(source varchar, entity varchar, file varchar, line bigint, column_name varchar, reason varchar)"
        )

    def set_aside(
        file: str,
        *,
        rows: int,
        source: str = "bank",
        is_replaced: bool = False,
        is_accepted: bool = False,
        **columns: int,
    ) -> None:
        n = sum(columns.values())
        with writer("test", home) as con:
            con.execute(
                "insert into staging.rows_set_aside values ($1, 'loans', $2, $3, $4, $4 / $3, 0.2, $5, $6)",
                [source, file, rows, n, is_replaced, is_accepted],
            )
            for column, n_lines in columns.items():
                con.execute(
                    "insert into raw.quarantine select $1, 'loans', $2, range, $3, 'must be a number' from range($4)",
                    [source, file, column, n_lines],
                )
            con.execute("insert into raw.quarantine values ($1, 'loans', $2, 1, null, $3)", [source, file, NOTE])

    return set_aside


def said(home: Settings, source: str | None = None) -> list[str]:
    with connect(home) as con:
        return [str(loss) for loss in losses(con, source)]


def test_rows_and_the_three_commonest_reasons_are_said_by_kind_of_file(home: Settings, lose: Lose) -> None:
    lose("a.csv", rows=1_000, amount=5, rate=3)
    lose("b.csv", rows=1_000, amount=1, opened=2, term=1)
    lose("a.csv", rows=10, source="union", amount=1)

    assert said(home) == [
        "bank loans: 12 of 2,000 rows set aside (0.6 %): amount must be a number (6); rate must be a number (3); "
        "opened must be a number (2)",
        "union loans: 1 of 10 rows set aside (10 %): amount must be a number (1)",
    ]
    assert len(said(home, "union")) == 1


def test_a_file_that_lost_more_than_its_share_is_named_with_what_to_do(home: Settings, lose: Lose) -> None:
    """2,000 rows of 2,000 were set aside: the load, the build and the status said nothing of it."""
    lose("good.csv", rows=100_000)
    lose("bad.csv", rows=2_000, bal=2_000)

    with connect(home) as con:
        (loss,) = losses(con)

    assert loss.is_too_much
    assert too_much_text([loss]).startswith(
        "bank loans: 2,000 of 102,000 rows set aside (1.96 %): bal must be a number (2,000). More than 20 % of "
        "bad.csv. Declare the columns as the files have them and build again"
    )


@pytest.mark.parametrize("state", ["is_replaced", "is_accepted"])
def test_a_file_that_was_replaced_or_accepted_is_no_longer_too_much(home: Settings, lose: Lose, state: str) -> None:
    lose("bad.csv", rows=2, bal=2, **{state: True})

    with connect(home) as con:
        assert [(loss.n_set_aside, loss.is_too_much) for loss in losses(con)] == [(2, False)]


def test_a_fifth_of_the_rows_is_not_more_than_a_fifth(home: Settings, lose: Lose) -> None:
    lose("a.csv", rows=10, bal=2)

    with connect(home) as con:
        assert [loss.is_too_much for loss in losses(con)] == [False]


def test_before_the_first_build_nothing_is_known(home: Settings) -> None:
    with writer("test", home):
        pass  # the lake is made

    with connect(home) as con:
        assert losses(con) == []


def test_what_is_no_loss_is_called_the_same_in_the_model_and_in_the_program() -> None:
    model = (DBT_PROJECT_DIR / "models" / "staging" / "rows_set_aside.sql").read_text()

    assert f"where reason <> '{NOTE}'" in model
