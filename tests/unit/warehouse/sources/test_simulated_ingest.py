"""The simulated lender in the lake."""

from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import Settings
from warehouse.sources import ingest_simulated


def test_the_same_lender_again_changes_nothing(home: Settings) -> None:
    first = ingest_simulated(home, applications=60, months=12, seed=1)
    with connect(home) as con:
        before = current_snapshot(con)

    again = ingest_simulated(home, applications=60, months=12, seed=1)

    with connect(home) as con:
        assert current_snapshot(con) == before
    assert [(result.entity, result.status) for result in again] == [
        (result.entity, "already_loaded") for result in first
    ]
    assert [result.n_rows for result in again] == [result.n_rows for result in first]


def test_raw_values_are_written_as_staging_reads_them(home: Settings) -> None:
    ingest_simulated(home, applications=60, months=12, seed=1)

    with connect(home) as con:
        wrong = con.execute(
            r"""
            select count(*) from raw.simulated_applications
            where not regexp_full_match(decided_at, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d')
                or not regexp_full_match(oldest_account_on, '\d{4}-\d\d-\d\d')
                or income_verified not in ('true', 'false')
                or not regexp_full_match(term_months, '\d+')
                or annual_income in ('nan', '')
            """
        ).fetchone()
    assert wrong == (0,)
