"""Raw tables, and those that programs write, carry their descriptions as comments."""

from pathlib import Path

from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings
from warehouse.sources import ingest_files


def comment(settings: Settings, table: str, column: str) -> str | None:
    with connect(settings) as con:
        row = con.execute(
            "select comment from duckdb_columns() where schema_name || '.' || table_name = $1 and column_name = $2",
            [table, column],
        ).fetchone()
    return row[0] if row else None


def test_a_table_of_a_program_has_the_descriptions_of_the_project(home: Settings) -> None:
    with writer("test", home):
        pass

    assert comment(home, "serving.predictions", "probability") == "Calibrated probability of default."


def test_columns_of_a_lender_of_ones_own_are_named_for_what_they_are(home: Settings, tmp_path: Path) -> None:
    loans = tmp_path / "loans.csv"
    loans.write_text("loan no,amount\n1,2\n")

    ingest_files("mybank", [loans], home, "loans")

    assert comment(home, "raw.mybank_loans", "loan_no") == "The file's column loan_no, as text."
    assert comment(home, "raw.mybank_loans", "_line") == "Its physical line; the header is line 1."


def test_a_changed_comment_is_restored_by_the_next_writer_and_then_nothing_is_written(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("comment on column serving.predictions.probability is 'something else'")

    with writer("test", home) as con:
        restored = current_snapshot(con)
    with writer("test", home) as con:
        after = current_snapshot(con)

    assert comment(home, "serving.predictions", "probability") == "Calibrated probability of default."
    assert after == restored
