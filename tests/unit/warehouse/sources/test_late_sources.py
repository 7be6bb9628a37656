"""What is said of files that are late, by the view's own SQL on real arrivals."""

from datetime import UTC, datetime, timedelta

from tests.unit.warehouse.macros import model_sql
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings
from warehouse.sources.late_sources import late_sources

NOW = datetime.now(UTC).replace(tzinfo=None, hour=12)


def load(home: Settings, source: str, *days_ago: int) -> None:
    with writer("test", home) as con:
        for days in days_ago:
            con.execute(
                "insert into raw.files (source, entity, file, loaded_at) values ($1, 'loans', $2, $3)",
                [source, f"{days}.csv", NOW - timedelta(days=days)],
            )


def said(home: Settings, source: str | None = None) -> list[str]:
    with connect(home) as con:
        con.execute("create temp table int_clocks (source varchar, clock_at timestamp)")
        con.execute(f"create temp view arrivals as {model_sql('source_arrivals')}")
        con.execute("attach ':memory:' as judged")
        con.execute("create schema judged.monitoring")
        con.execute("create table judged.monitoring.source_arrivals as from arrivals")
        con.execute("use judged")
        return [str(each) for each in late_sources(con, source)]


def test_a_source_that_missed_its_rhythm_is_late_and_others_are_not(home: Settings) -> None:
    load(home, "weekly", 41, 34, 27, 20)
    load(home, "on_time", 24, 17, 10, 3)
    load(home, "once", 900)

    found = said(home)

    day = NOW - timedelta(days=20)
    assert found == [
        f"weekly: files of loans are late: the newest arrived on {day:%Y-%m-%d}, 20 days ago; by their own rhythm "
        "at most 11 days pass"
    ]
    assert said(home, "on_time") == []


def test_nothing_is_late_before_the_first_build(home: Settings) -> None:
    load(home, "weekly", 41, 34, 27, 20)

    with connect(home) as con:
        assert late_sources(con) == []
