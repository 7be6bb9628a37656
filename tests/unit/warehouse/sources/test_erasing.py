"""A landing file loses a person's lines and nothing else, and its original is still known as loaded."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.lake.connection import connect, writer
from warehouse.lenders.files import FileSettings
from warehouse.readers.csv_file import CsvFile
from warehouse.readers.opening import open_table
from warehouse.settings import Settings
from warehouse.sources import ingest_files
from warehouse.sources.erasing import never_loaded, without_lines

HEADER = "application_id,p_default,is_shock_period\n"
TEXT = HEADER + 'ann,1,true\r\n\n"bob\nthe second",2,true\nshort\n"cleo",3,false\ndora,4,true'


def _rows(path: Path) -> list[tuple[int, str]]:
    table = pa.Table.from_batches(CsvFile(path).batches(["application_id"]))
    return list(zip(table["_line"].to_pylist(), table["application_id"].to_pylist(), strict=True))


@pytest.mark.parametrize("name", ["truth.csv", "truth.csv.gz"])
def test_rows_that_begin_on_the_lines_go_and_the_others_keep_theirs(tmp_path: Path, name: str) -> None:
    """Lineage shows file and line: a file that closed up would show somebody else's."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(TEXT.encode()) if name.endswith("gz") else TEXT.encode())

    found = without_lines(open_table(path), {4, 6})
    found.put()

    assert _rows(path) == [(2, "ann"), (7, "cleo"), (8, "dora")]
    text = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
    assert text.decode() == HEADER + 'ann,1,true\r\n\n\n\n\n"cleo",3,false\ndora,4,true'


def test_lines_beyond_the_first_block_are_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.readers.csv_file.BLOCK_BYTES", 64)
    path = tmp_path / "truth.csv"
    path.write_text(HEADER + "".join(f"a{number},{number},true\n" for number in range(50)))

    without_lines(open_table(path), {2, 30, 51}).put()

    assert _rows(path) == [(number + 2, f"a{number}") for number in range(50) if number not in (0, 28, 49)]


def test_a_file_in_another_encoding_stays_in_it(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(gzip.compress("id;name\n1;Zürich\n2;Köln\n".encode("utf-16")))
    declared = FileSettings(encoding="utf-16")

    without_lines(open_table(path, declared), {2}).put()

    (batch,) = open_table(path, declared).batches(["name"])
    assert batch.to_pylist() == [{"name": "Köln", "_line": 3}]
    assert gzip.decompress(path.read_bytes()).decode("utf-16") == "id;name\n\n2;Köln\n"


def test_rows_of_a_parquet_file_are_emptied_in_place(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"
    pq.write_table(pa.table({"application_id": ["ann", "bob"], "P default": [1.5, 2.5]}), path)

    without_lines(open_table(path), {3}).put()

    assert pq.read_table(path).to_pydict() == {"application_id": ["ann", None], "P default": [1.5, None]}


def test_places_of_erased_rows_in_a_parquet_file_are_no_rows_but_empty_rows_that_it_came_with_are(
    tmp_path: Path,
) -> None:
    """Else loading the file once more would set an empty row aside for each erased one."""
    path = tmp_path / "truth.parquet"
    pq.write_table(pa.table({"application_id": ["ann", None, "bob", "cid"]}), path)

    without_lines(open_table(path), {2}).put()
    without_lines(open_table(path), {5}).put()

    (batch,) = open_table(path).batches(["application_id"])
    assert batch.to_pylist() == [{"application_id": None, "_line": 3}, {"application_id": "bob", "_line": 4}]


def test_the_original_is_neither_loaded_nor_landed_again(home: Settings, tmp_path: Path) -> None:
    """Else sending the same file once more would bring the person back."""
    path = tmp_path / "truth.csv"
    path.write_text(HEADER + "ann,1,true\nbob,2,true\n")
    ingest_files("simulated", [path], home, "truth")
    landed = home.landing / "simulated" / "truth" / "truth.csv"
    rewritten = without_lines(open_table(landed), {2})
    with writer("test", home) as con:
        con.execute("delete from raw.simulated_truth where application_id = 'ann'")
        con.execute("update raw.files set erased_sha256 = $1", [rewritten.sha256])
    rewritten.put()

    again = ingest_files("simulated", [path, landed], home, "truth")

    assert [result.status for result in again] == ["already_loaded", "already_loaded"]
    assert [file.name for file in landed.parent.iterdir()] == ["truth.csv"]
    assert "ann" not in landed.read_text()
    with connect(home) as con:
        assert con.execute("select application_id from raw.simulated_truth").fetchall() == [("bob",)]


def test_landing_files_that_a_killed_load_left_are_named(home: Settings, tmp_path: Path) -> None:
    """No row of the lake leads to their lines: an erasure cannot say that it is complete."""
    path = tmp_path / "truth.csv"
    path.write_text(HEADER + "ann,1,true\n")
    ingest_files("simulated", [path], home, "truth")
    folder = home.landing / "simulated" / "truth"
    for name in ("truth-2.csv", ".incoming-1-1"):
        (folder / name).write_text(HEADER + "ann,1,true\n")

    with connect(home) as con:
        assert never_loaded(con, home.landing) == [folder / ".incoming-1-1", folder / "truth-2.csv"]
