"""What is said of corrections without a time of their own."""

import duckdb

from warehouse.sources.undated_corrections import undated_corrections


def test_corrections_that_count_from_their_load_are_told_for_each_lender() -> None:
    with duckdb.connect() as con:
        assert undated_corrections(con) == [], "before the first build"
        con.execute("create schema core")
        for table in ("int_application_versions", "int_statements", "int_outcome_versions"):
            con.execute(f"create table core.{table} (source text, is_known_by_load boolean, loaded_at timestamp)")
        con.execute(
            "insert into core.int_statements values ('bank', true, '2024-03-01 10:00'), "
            "('bank', true, '2024-02-01'), ('bank', false, '2024-04-01'), ('union', true, '2024-01-01')"
        )

        [found] = undated_corrections(con, "bank")

        assert found.startswith(
            "bank: 2 corrections of statements have no known_at of their own and count from their load"
        )
        assert "the newest from 2024-03-01 10:00 UTC: decisions made before keep the earlier values" in found
        assert len(undated_corrections(con)) == 2
