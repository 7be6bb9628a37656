"""What history is made of is read from the text of its model: a new table or another horizon needs no edit."""

from datetime import datetime

import duckdb
import pytest

from ml.decisions.history_rows import history_rows
from warehouse.errors import ContractError
from warehouse.lake.feature_tables import HISTORY_MODEL

TEXT = """
with points as (
    select application_id as point_id, borrower_id, decided_at as as_of, decided_at as known_until
    from "lake"."core"."int_applications"
),
statement_history as (
    select
        points.point_id,
        cast(count(case when s.statement_on >= points.as_of + to_months(-9) then 1 end) as integer) as n_statements_9m,
        cast(count(case when s.statement_on >= points.as_of + to_months(-3) then 1 end) as integer) as n_statements_3m,
        max(s.known_at) as latest_known_at
    from points as points
    inner join "lake"."core"."int_statements" as s
        on s.borrower_id = points.borrower_id and s.known_at < points.known_until
        and coalesce(s.superseded_at >= points.known_until, true)
        and s.statement_on >= points.as_of + to_months(-9)
    group by points.point_id
),
bureau_inquiries as (
    select a.borrower_id, i.inquiry_id, i.known_at
    from "lake"."core"."int_inquiries" as i
    inner join "lake"."core"."int_applications" as a on a.application_id = i.application_id
    where (i.known_at < a.decided_at) is not true
),
inquiries as (
    select points.point_id, cast(count(*) as integer) as n_inquiries
    from points as points
    inner join bureau_inquiries as i on i.borrower_id = points.borrower_id and i.known_at < points.known_until
    group by points.point_id
),
history as (
    select points.point_id, n_statements_9m, n_inquiries from points as points
    left join statement_history on statement_history.point_id = points.point_id
    left join inquiries on inquiries.point_id = points.point_id
)
select * from history
"""
STATEMENTS, INQUIRIES = history_rows({"nodes": {"m": {"name": HISTORY_MODEL, "compiled_code": TEXT}}})


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("""
        create schema core;
        create table core.int_applications as
            select 'b-' || n as borrower_id, 'a-' || n as application_id, timestamp '2023-01-01' as decided_at
            from range(2) as n(n);
        create table core.int_statements as from (values
            ('b-1', date '2023-05-31', timestamp '2023-06-05', cast(null as timestamp)),
            ('b-1', date '2023-03-31', timestamp '2023-04-05', null),
            ('b-1', date '2023-12-31', timestamp '2024-01-01', null),
            ('b-0', date '2023-12-31', timestamp '2023-12-31', null)
        ) as t(borrower_id, statement_on, known_at, superseded_at);
        create table core.int_inquiries as from (values
            ('i-1', 'a-1', timestamp '2023-02-01'),
            ('i-2', 'a-1', timestamp '2022-12-31'),
            ('i-3', 'a-0', timestamp '2023-02-01')
        ) as t(inquiry_id, application_id, known_at)""")
    return con


def test_the_tables_and_the_inputs_that_count_their_rows_are_those_of_the_text() -> None:
    found = [(rows.table, rows.entity, rows.counted_by) for rows in (STATEMENTS, INQUIRIES)]

    assert found == [
        ("core.int_statements", "statements", ("n_statements_9m",)),
        ("core.int_inquiries", "inquiries", ("n_inquiries",)),
    ]


def test_rows_count_by_the_conditions_of_the_text(con: duckdb.DuckDBPyConnection) -> None:
    """Nine months back, known strictly before; an inquiry that its application's date contradicts counts nowhere."""
    moment = datetime(2024, 1, 1)

    statements = con.execute(STATEMENTS.sql("b-1", moment)).fetchall()
    inquiries = con.execute(INQUIRIES.sql("b-1", moment)).fetchall()

    assert [str(row[1]) for row in statements] == ["2023-05-31"]
    assert [row[1] for row in inquiries] == ["i-1"]


def test_a_version_known_after_the_moment_counts_where_the_caller_says_so(con: duckdb.DuckDBPyConnection) -> None:
    """As in the online store, whose moment is the lender's clock; how old a statement may be goes by that moment."""
    con.execute("insert into core.int_statements values ('b-1', date '2023-11-30', timestamp '2026-05-01', null)")

    sql = STATEMENTS.sql("b-1", datetime(2024, 1, 1), known_until=datetime(2026, 6, 1))

    assert [str(row[1]) for row in con.execute(sql).fetchall()] == ["2023-05-31", "2023-12-31", "2023-11-30"]


def test_the_version_that_was_known_is_read(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update core.int_statements set superseded_at = '2023-08-01' where statement_on = '2023-05-31'")
    con.execute("insert into core.int_statements values ('b-1', date '2023-05-31', timestamp '2023-08-01', null)")

    before = con.execute(STATEMENTS.sql("b-1", datetime(2023, 8, 1))).fetchall()
    after = con.execute(STATEMENTS.sql("b-1", datetime(2023, 8, 2))).fetchall()

    assert [row[2].month for row in before if row[1].month == 5] == [6]
    assert [row[2].month for row in after if row[1].month == 5] == [8]


def test_versions_are_of_the_entity_that_they_are_versions_of() -> None:
    versions = TEXT.replace("int_inquiries", "int_inquiry_versions").replace("int_inquiry_v", "int_outcome_v")

    _, found = history_rows({"nodes": {"m": {"name": HISTORY_MODEL, "compiled_code": versions}}})

    assert found.entity == "outcomes"


def test_every_table_is_read_at_the_snapshot() -> None:
    sql = INQUIRIES.sql("b-1", datetime(2024, 1, 1), at=" at (version => 7)")

    assert sql.count("core.") == sql.count("at (version => 7)") == 2


def test_the_rows_of_a_lenders_own_history_are_those_of_its_own_model() -> None:
    own = TEXT.replace("int_statements", "int_statements_bank")
    model = f"{HISTORY_MODEL}_bank"

    found = history_rows({"nodes": {"m": {"name": model, "compiled_code": own}}}, model=model)

    assert [rows.table for rows in found] == ["core.int_statements_bank", "core.int_inquiries"]


def test_a_part_whose_rows_cannot_be_told_apart_is_refused() -> None:
    joined = TEXT.replace(
        "group by points.point_id\n),\nhistory", "cross join other group by points.point_id\n),\nhistory"
    )

    with pytest.raises(ContractError, match=r"must join points with one relation of rows, .*: found 2 joins"):
        history_rows({"nodes": {"m": {"name": HISTORY_MODEL, "compiled_code": joined}}})


def test_a_manifest_that_was_only_parsed_is_refused() -> None:
    with pytest.raises(ContractError, match="must hold the compiled SQL of ftr_application_history"):
        history_rows({"nodes": {"m": {"name": HISTORY_MODEL}}})
