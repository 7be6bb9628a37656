"""A file's name means that file."""

from pathlib import Path

import duckdb
import pytest

from warehouse.files.patterns import parquet


@pytest.mark.parametrize("name", ["*.parquet", "**", "a[1].parquet", "what?.parquet", "[abc", "{a,b}.parquet"])
def test_a_name_that_is_a_pattern_reads_one_file(tmp_path: Path, name: str) -> None:
    """The rows of every file beside `*.parquet` were loaded under its name."""
    for written in (name, "a1.parquet", "whats.parquet", "a"):
        duckdb.execute(f"copy (select $1 as written) to '{tmp_path}/draft' (format parquet)", [written])
        (tmp_path / "draft").rename(tmp_path / written)

    rows = duckdb.execute(f"select written from {parquet(tmp_path / name)}").fetchall()

    assert rows == [(name,)]


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "written=wrong" / "it's.parquet"
    path.parent.mkdir()
    duckdb.execute(f"copy (select 'right' as written) to '{path.parent}/it''s.parquet' (format parquet)")

    assert duckdb.execute(f"from {parquet(path)}").fetchall() == [("right",)]
