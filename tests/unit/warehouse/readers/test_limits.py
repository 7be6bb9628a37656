"""How much one file may bring."""

import gzip
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.errors import SourceFileError
from warehouse.readers.csv_file import CsvFile
from warehouse.readers.parquet_file import ParquetFile
from warehouse.settings import Settings


def n_rows(file: CsvFile) -> int:
    return sum(len(batch) for batch in file.batches(file.columns))


def test_a_small_file_that_unpacks_to_very_much_is_refused_before_it_is_unpacked(
    home: Settings, tmp_path: Path
) -> None:
    """61 KB of gzip were 15.7 million rows."""
    bomb = tmp_path / "loans.csv.gz"
    bomb.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 15_700_000, compresslevel=6))

    with pytest.raises(SourceFileError, match=r"loans\.csv\.gz must unpack to at most 16,777,216 bytes: found more in"):
        n_rows(CsvFile(bomb, limits=home))


def test_a_file_that_unpacks_to_more_than_the_setting_allows_is_refused(home: Settings, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1_000))

    with pytest.raises(SourceFileError, match=r"at most 1,000 bytes: .* LOANLAKE_FILE_GIGABYTES"):
        n_rows(CsvFile(path, limits=replace(home, file_gigabytes=1e-6)))


def test_a_file_of_more_rows_than_the_setting_allows_is_refused(home: Settings, tmp_path: Path) -> None:
    csv, parquet = tmp_path / "loans.csv", tmp_path / "loans.parquet"
    csv.write_text("a\n" + "1\n" * 11)
    pq.write_table(pa.table({"a": range(11)}), parquet)
    ten, eleven = replace(home, file_rows=10), replace(home, file_rows=11)

    with pytest.raises(SourceFileError, match=r"loans\.csv must have at most 10 rows: found 11 .* LOANLAKE_FILE_ROWS"):
        n_rows(CsvFile(csv, limits=ten))
    with pytest.raises(SourceFileError, match=r"loans\.parquet must have at most 10 rows: found 11"):
        ParquetFile(parquet, ten)
    assert n_rows(CsvFile(csv, limits=eleven)) == ParquetFile(parquet, eleven).n_rows == 11


def test_a_file_of_columns_is_measured_by_what_it_holds(home: Settings, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": range(1_000)}), tmp_path / "loans.parquet")

    with pytest.raises(SourceFileError, match=r"loans\.parquet must hold at most 1,000 bytes"):
        ParquetFile(tmp_path / "loans.parquet", replace(home, file_gigabytes=1e-6))
