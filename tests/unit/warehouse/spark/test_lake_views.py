"""Spark reads each row of the lake's files once, whatever their paths, columns and deletions."""

import pytest

from warehouse.errors import SparkError
from warehouse.lake.data_files import TableFile, TableFiles
from warehouse.spark.lake_views import view_statement


def test_files_of_one_folder_and_columns_are_read_together() -> None:
    files = [
        TableFile("/lake/raw/b.parquet", {"n": "n"}, None),
        TableFile("/lake/raw/a.parquet", {"n": "n"}, None),
        TableFile("/lake/raw/old/c.parquet", {"n": "number"}, None),
    ]

    statement = view_statement(TableFiles("raw.loans", {"n": "BIGINT"}, files))

    assert statement == (
        "create or replace view raw.loans as\n"
        "select `n` from parquet.`/lake/raw/{b.parquet,a.parquet}`\n"
        "union all\n"
        "select `number` as `n` from parquet.`/lake/raw/old/c.parquet`"
    )


def test_deleted_rows_are_left_out_by_their_place() -> None:
    file = TableFile("/lake/a.parquet", {"n": "n"}, "/lake/a-delete.parquet")

    statement = view_statement(TableFiles("raw.loans", {"n": "BIGINT"}, [file]))

    assert statement.endswith(
        "from parquet.`/lake/a.parquet` "
        "where _metadata.row_index not in (select pos from parquet.`/lake/a-delete.parquet`)"
    )


def test_a_table_without_files_has_its_columns_and_no_row() -> None:
    statement = view_statement(TableFiles("raw.loans", {"n": "BIGINT", "90 days": "TIMESTAMP"}, []))

    assert statement.endswith(
        "select cast(null as bigint) as `n`, cast(null as timestamp_ntz) as `90 days` where false"
    )


def test_a_path_is_no_pattern() -> None:
    file = TableFile("/home/{mine}/a[1].parquet", {"n": "n"}, None)

    assert "parquet.`/home/\\{mine\\}/a\\[1\\].parquet`" in view_statement(
        TableFiles("raw.loans", {"n": "BIGINT"}, [file])
    )


def test_a_type_that_spark_would_read_otherwise_is_refused() -> None:
    with pytest.raises(SparkError, match=r"raw.loans.n must be of a type BIGINT, .*: found HUGEINT"):
        view_statement(TableFiles("raw.loans", {"n": "HUGEINT"}, []))
