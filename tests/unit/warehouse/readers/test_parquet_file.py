"""A Parquet file's values as text."""

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.errors import SourceFileError
from warehouse.readers.parquet_file import ParquetFile, is_parquet
from warehouse.readers.table_file import RejectedLine


def test_typed_values_become_the_text_that_staging_reads(tmp_path: Path) -> None:
    table = pa.table(
        {
            "Is Default": [True, None],
            "at": pa.array([datetime(2011, 12, 1, 10, 30, tzinfo=UTC)] * 2, pa.timestamp("us")),
            "on": [date(2011, 12, 1)] * 2,
            "amount": [1234.5, 1e-7],
            "n": pa.array([2**40, -1]),
        }
    )
    pq.write_table(table, tmp_path / "loans.parquet")

    file = ParquetFile(tmp_path / "loans.parquet")
    rows = duckdb.sql(file.select(file.columns)).fetchall()

    assert rows == [
        ("true", "2011-12-01 10:30:00", "2011-12-01", "1234.5", str(2**40), 2),
        (None, "2011-12-01 10:30:00", "2011-12-01", "1e-07", "-1", 3),
    ]


def test_rows_come_in_file_order_as_those_of_every_other_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"Loan No.": ["b", "a"], "n": [1, None]}), tmp_path / "loans.parquet")

    file = ParquetFile(tmp_path / "loans.parquet")

    assert [tuple(row.values()) for batch in file.batches(["n", "loan_no"]) for row in batch.to_pylist()] == [
        ("1", "b", 2),
        (None, "a", 3),
    ]


def test_columns_are_taken_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"b": ["2"], "A": ["1"]}), tmp_path / "loans.parquet")

    file = ParquetFile(tmp_path / "loans.parquet")

    assert duckdb.sql(file.select(("a", "b"))).fetchall() == [("1", "2", 2)]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "loans.parquet")
    whole = (tmp_path / "loans.parquet").read_bytes()
    (tmp_path / "loans.parquet").write_bytes(whole[:-10])

    assert is_parquet(tmp_path / "loans.parquet")
    with pytest.raises(SourceFileError, match=r"loans\.parquet begins as a Parquet file but cannot be read as one"):
        ParquetFile(tmp_path / "loans.parquet")


def test_a_file_whose_name_is_a_pattern_is_that_file_alone(tmp_path: Path) -> None:
    for name in ("*.parquet", "other.parquet"):
        pq.write_table(pa.table({"name": [name]}), tmp_path / name)

    file = ParquetFile(tmp_path / "*.parquet")
    file.write_without([3], tmp_path / "copy")

    assert duckdb.sql(file.select(("name",))).fetchall() == [("*.parquet", 2)]
    assert pq.read_table(tmp_path / "copy").to_pylist() == [{"name": "*.parquet"}]


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "name=wrong").mkdir()
    pq.write_table(pa.table({"name": ["right"]}), tmp_path / "name=wrong" / "loans.parquet")

    file = ParquetFile(tmp_path / "name=wrong" / "loans.parquet")

    assert duckdb.sql(file.select(("name",))).fetchall() == [("right", 2)]


def test_columns_that_would_get_the_same_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"loan id": ["1"], "loan_id": ["2"]}), tmp_path / "loans.parquet")

    with pytest.raises(SourceFileError, match=r"every column .* a name of its own .*: found loan_id"):
        ParquetFile(tmp_path / "loans.parquet")


def test_rejected_rows_of_a_pull_are_no_rows_and_can_be_erased(tmp_path: Path) -> None:
    """A bank's own file with columns of these names has rows as any other."""
    columns = {"name": ["a", None], "_rejected_value": [None, '{"name":"b"}'], "_rejected_reason": [None, "no key"]}
    rows = pa.table(columns, pa.schema([(each, pa.string()) for each in columns]))
    pq.write_table(rows, tmp_path / "own.parquet")
    pq.write_table(rows.replace_schema_metadata({"loanlake_pull": "{}"}), tmp_path / "pulled.parquet")

    file = ParquetFile(tmp_path / "pulled.parquet")
    file.write_without([3], tmp_path / "erased")

    assert duckdb.sql(file.select(file.columns)).fetchall() == [("a", 2)]
    assert file.rejected == [RejectedLine(3, '{"name":"b"}', "no key")]
    [(found,)] = duckdb.execute(
        f"select {file.rejected_field('name')} from (select $1 as value)", [file.rejected[0].value]
    ).fetchall()
    assert found == "b"
    assert b"no key" not in (tmp_path / "erased").read_bytes()
    assert ParquetFile(tmp_path / "own.parquet").rejected == []
