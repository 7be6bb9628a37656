"""Versions of restated rows, by the macro's SQL on a few lines: which there are, and when each counts."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.warehouse.macros import macros

COLUMNS = ["id", "source", "known_at", "balance", "note"]
ORIGIN = datetime(2024, 1, 1)


class Line(NamedTuple):
    """A line of a file; times are days after the origin."""

    id: str
    known: int | None
    balance: float | None
    loaded: int
    replaced: int | None = None
    note: str | None = None


class Version(NamedTuple):
    """A version as the table has it, without its note."""

    id: str
    known: float
    until: float | None
    balance: float | None
    loaded: float
    by_load: bool


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute(
            "create table lines (id text, source text, known_at timestamp, balance double, note text, "
            "_loaded_at timestamp, _replaced_at timestamp)"
        )
        yield con


def sql(*, stored: bool = False) -> str:
    """The versions of the lines that are read; ``stored``: with those of the table this_model, as keyed.sql does."""
    text: str = macros()["versions"](
        "select * from lines where _loaded_at >= coalesce(getvariable('loaded_from'), timestamp '-infinity')",
        ["id"],
        COLUMNS,
    )
    return text.replace("/* stored", "").replace("stored */", "") if stored else text


def moment(day: int | None) -> datetime | None:
    return None if day is None else ORIGIN + timedelta(days=day)


def load(con: duckdb.DuckDBPyConnection, *lines: Line) -> None:
    for line in lines:
        con.execute(
            "insert into lines values (?, 'bank', ?, ?, ?, ?, ?)",
            [line.id, moment(line.known), line.balance, line.note, moment(line.loaded), moment(line.replaced)],
        )


def versions(con: duckdb.DuckDBPyConnection, relation: str | None = None) -> list[Version]:
    def day(moment: str) -> str:
        return f"date_diff('hour', timestamp '{ORIGIN}', {moment}) / 24"

    rows = con.execute(
        f"select id, {day('known_at')}, {day('superseded_at')}, balance, {day('loaded_at')}, is_known_by_load "
        f"from {relation or f'({sql()})'} order by id, known_at, loaded_at"
    ).fetchall()
    return [Version(*row) for row in rows]


def test_a_row_that_nothing_restates_is_one_version(con: duckdb.DuckDBPyConnection) -> None:
    load(con, Line("a", 5, 800, 100), Line("b", None, 300, 100))

    assert versions(con) == [Version("a", 5, None, 800, 100, False), Version("b", 100, None, 300, 100, False)]


def test_a_correction_counts_from_its_own_time(con: duckdb.DuckDBPyConnection) -> None:
    load(con, Line("a", 5, 800, 100), Line("a", 20, 750, 200))

    assert versions(con) == [Version("a", 5, 20, 800, 100, False), Version("a", 20, None, 750, 200, False)]


@pytest.mark.parametrize("known", [None, 5], ids=["without a time", "with the time of the first"])
def test_a_correction_that_gives_no_time_of_its_own_counts_from_its_load(
    con: duckdb.DuckDBPyConnection, known: int | None
) -> None:
    load(con, Line("a", 5, 800, 100), Line("a", known, 750, 200))

    assert versions(con) == [Version("a", 5, 200, 800, 100, False), Version("a", 200, None, 750, 200, True)]


@pytest.mark.parametrize("known", [None, 5, 20], ids=["no time", "the same time", "a later time"])
def test_an_equal_line_is_no_version(con: duckdb.DuckDBPyConnection, known: int | None) -> None:
    load(con, Line("a", 5, 800, 100), Line("a", known, 800, 200))

    assert versions(con) == [Version("a", 5, None, 800, 100, False)]


def test_two_corrections_follow_each_other(con: duckdb.DuckDBPyConnection) -> None:
    load(con, Line("a", 5, 800, 100), Line("a", 20, 750, 200), Line("a", None, 700, 300))

    assert versions(con) == [
        Version("a", 5, 20, 800, 100, False),
        Version("a", 20, 300, 750, 200, False),
        Version("a", 300, None, 700, 300, True),
    ]


def test_a_correction_taken_back_is_a_version_too(con: duckdb.DuckDBPyConnection) -> None:
    """What the first line said is said again: known then, not known in between, and known from then on."""
    load(con, Line("a", 5, 800, 100), Line("a", 5, 750, 200), Line("a", 5, 800, 300))

    assert versions(con) == [
        Version("a", 5, 200, 800, 100, False),
        Version("a", 200, 300, 750, 200, True),
        Version("a", 300, None, 800, 300, True),
    ]


def test_times_decide_whichever_line_was_loaded_first(con: duckdb.DuckDBPyConnection) -> None:
    load(con, Line("a", 20, 750, 100), Line("a", 5, 800, 200))

    assert versions(con) == [Version("a", 5, 20, 800, 200, False), Version("a", 20, None, 750, 100, False)]


def test_a_correction_of_a_row_known_after_its_load_still_follows_it(con: duckdb.DuckDBPyConnection) -> None:
    """A file may date a row up to a day after it was loaded."""
    load(con, Line("a", 101, 800, 100), Line("a", 101, 750, 100 + 1 - 1, note="x"))
    con.execute("update lines set _loaded_at = _loaded_at + interval 1 hour where note = 'x'")

    found = versions(con)

    assert [(each.balance, each.known, each.until) for each in found] == [(800, 101, 101), (750, 101, None)]


def test_a_missing_value_is_a_value(con: duckdb.DuckDBPyConnection) -> None:
    load(con, Line("a", 5, 800, 100), Line("a", 20, None, 200), Line("a", 30, None, 300, note="why"))

    assert [each.known for each in versions(con)] == [5, 20, 30]


def test_a_row_that_its_next_line_makes_no_more_is_taken_back(con: duckdb.DuckDBPyConnection) -> None:
    """Of loans, a line that says running again makes no outcome; of rows with ids, one may get another key."""
    load(con, Line("a", 5, 800, 100, replaced=200), Line("b", 6, 800, 200))

    assert versions(con) == [Version("a", 5, 200, 800, 100, False), Version("b", 6, None, 800, 200, False)]


def test_a_row_taken_back_and_said_again_has_a_gap(con: duckdb.DuckDBPyConnection) -> None:
    load(con, Line("a", 5, 800, 100, replaced=200), Line("a", 5, 800, 300))

    assert versions(con) == [Version("a", 5, 200, 800, 100, False), Version("a", 300, None, 800, 300, True)]


def test_one_load_may_restate_several_versions(con: duckdb.DuckDBPyConnection) -> None:
    """A file of all versions, both of which say something else now: the later one is the newest."""
    load(con, Line("a", 5, 800, 100), Line("a", 20, 750, 100), Line("a", 5, 801, 200), Line("a", 20, 751, 200))

    found = versions(con)

    assert [(each.balance, each.by_load) for each in found] == [(800, False), (750, False), (801, True), (751, True)]
    assert [each.until for each in found] == [20, 200, 200, None]


def test_two_rows_of_one_load_and_time_are_left_for_the_tests_to_find(con: duckdb.DuckDBPyConnection) -> None:
    """Two accounts of a borrower are not a statement and its correction."""
    load(con, Line("a", 5, 800, 100), Line("a", 5, 300, 100), Line("a", 5, 300, 100))

    assert [(each.known, each.loaded) for each in versions(con)] == [(5, 100)] * 3


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # a correction of a correction came before it was due: 750 is the last word by load and by time
        ([(5, 800), (30, 700), (20, 750), (40, 750)], [(5, 800), (20, 750), (30, 700), (40, 750)]),
        # a later file says that 700 was known earlier
        ([(5, 800), (30, 700), (20, 700)], [(5, 800), (20, 700), (30, 700)]),
        # said again with a time that is known already: nothing new
        ([(5, 800), (30, 700), (30, 700), (5, 800), (5, 800)], [(5, 800), (30, 700), (104, 800)]),
    ],
)
def test_corrections_that_arrive_out_of_order_count_from_their_own_times(
    con: duckdb.DuckDBPyConnection, lines: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    load(con, *(Line("a", known, value, 101 + number) for number, (known, value) in enumerate(lines)))

    assert [(each.known, each.balance) for each in versions(con)] == expected


_LOADS = st.lists(
    st.lists(
        st.builds(
            Line,
            id=st.sampled_from(["a", "b"]),
            known=st.sampled_from([None, 1, 2, 3]),
            balance=st.sampled_from([None, 1.0, 2.0]),
            loaded=st.just(0),
            replaced=st.none(),
            note=st.none(),
        ),
        max_size=3,
        unique_by=lambda line: line.id,
    ),
    min_size=1,
    max_size=6,
)


@given(loads=_LOADS)
@settings(max_examples=60, deadline=None)
def test_versions_built_load_by_load_are_those_built_at_once(loads: Sequence[Sequence[Line]]) -> None:
    """Each load is compared with the stored versions alone, as a build of newly loaded lines does it."""
    with duckdb.connect() as con:
        con.execute(
            "create table lines (id text, source text, known_at timestamp, balance double, note text, "
            "_loaded_at timestamp, _replaced_at timestamp)"
        )
        con.execute(f"create table this_model as {sql()}")
        con.execute("set variable loaded_lenders = ['bank']")
        for number, lines in enumerate(loads):
            load(con, *(line._replace(loaded=10 + number) for line in lines))
            con.execute(f"set variable loaded_from = timestamp '{moment(10 + number)}'")
            con.execute(f"create or replace temp table made as {sql(stored=True)}")
            con.execute("delete from this_model where exists (select 1 from made where made.id = this_model.id)")
            con.execute("insert into this_model by name from made")
        con.execute("reset variable loaded_from")

        assert versions(con, "this_model") == versions(con)


def test_newest_and_known_versions_are_of_every_decision_what_a_person_would_pick(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """known_version over decisions on each day: none, the first, the correction of day 20, the one of day 300."""
    load(con, Line("a", 5, 800, 100), Line("a", 20, 750, 200), Line("a", None, 700, 300))
    days = "(values (5), (6), (20), (21), (300), (301)) as days(day)"
    points = f"select timestamp '{ORIGIN}' + to_days(day) as known_until, day from {days}"

    rows = con.execute(
        f"select day, versions.balance from ({points}) as points left join ({sql()}) as versions "
        f"on {macros()['known_version']('versions', 'points')} order by day"
    ).fetchall()

    assert rows == [(5, None), (6, 800), (20, 800), (21, 750), (300, 750), (301, 700)]


def applications(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    chosen = macros()["as_decided"]("versions", ["application_id", "income"])
    return con.execute(f"{chosen} order by 1").fetchall()


def test_an_application_is_the_version_known_when_it_was_decided(con: duckdb.DuckDBPyConnection) -> None:
    """b: corrected before the decision; c: known late; d: a later line dates the decision later; e: never restated."""
    con.execute(
        "create table versions as select application_id, make_timestamp(2024, 1, known, 0, 0, 0) as known_at, "
        "make_timestamp(2024, 1, decided, 0, 0, 0) as decided_at, "
        "make_timestamp(2024, 2, known, 0, 0, 0) as loaded_at, "
        "make_timestamp(2024, 1, superseded, 0, 0, 0) as superseded_at, income "
        "from (values ('a', 3, 3, 9, 10), ('a', 9, 3, null, 11), ('b', 1, 5, 4, 20), ('b', 4, 5, null, 21), "
        "('c', 8, 2, 9, 30), ('c', 9, 2, null, 31), ('d', 3, 3, 9, 40), ('d', 9, 9, null, 41), ('e', 3, 3, null, 50)) "
        "as rows(application_id, known, decided, superseded, income)"
    )

    assert applications(con) == [("a", 10), ("b", 21), ("c", 30), ("d", 40), ("e", 50)]
