"""A workbook's cells are what a person would have typed, and an unusable one is refused for what was found."""

import zipfile
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from tests.unit.warehouse.readers.workbooks import Failed, workbook
from warehouse.errors import SourceFileError
from warehouse.lenders.files import FileSettings
from warehouse.readers import workbook_parts
from warehouse.readers.csv_lines import NOTE
from warehouse.readers.opening import open_table
from warehouse.readers.table_file import TableFile
from warehouse.settings import Settings

LOANS = [["id", "amount", "on"], [1, 100.5, date(2024, 3, 1)], [2, 0.1 + 0.2, date(2024, 3, 2)]]


def rows(file: TableFile) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for batch in file.batches(file.columns) for row in batch.to_pylist()]


def test_cells_are_what_a_person_would_have_typed(tmp_path: Path) -> None:
    cells = [36, 0.1 + 0.2, -0.125, 1e-10, 12345678901234567, True, date(2024, 3, 1), datetime(2024, 3, 1, 10, 30)]
    texts = [" 007 ", "Zürich\nOst", Failed("#DIV/0!"), Failed("#N/A"), None]
    names = [f"c{number}" for number in range(13)]
    path = workbook(tmp_path / "loans.xlsx", {"Loans": [names, [*cells, *texts]]})

    (found,) = rows(open_table(path))

    assert found == (
        *("36", "0.3", "-0.125", "1e-10", "1.23456789012346e+16", "true", "2024-03-01", "2024-03-01 10:30:00"),
        *(" 007 ", "Zürich\nOst", "#DIV/0!", "#N/A", None),
        2,
    )


def test_rows_have_their_number_in_the_sheet_and_titles_are_notes(tmp_path: Path) -> None:
    header = [None, "id", "amount"]
    sheet = [["Loans of March"], [], header, [None, 1, 2.5], [], [None, 2, 3.5], [None, 3, 4, "late"], header]

    file = open_table(workbook(tmp_path / "loans.csv", {"Loans": sheet}))

    assert rows(file) == [("1", "2.5", 4), ("2", "3.5", 6)]
    assert [(line.line, line.value, line.reason) for line in file.rejected] == [
        (1, "Loans of March\t\t\t", NOTE),
        (7, "\t3\t4\tlate", "a value in column 4, which has no name in the header"),
        (8, "\tid\tamount\t", NOTE),
    ]
    assert str(file.layout) == "workbook, sheet Loans, 2 lines before the header"


def test_a_table_that_begins_at_another_column_and_row_is_found(tmp_path: Path) -> None:
    sheet = [[], [None, None, "id", "amount"], [None, None, 1, 2]]

    assert rows(open_table(workbook(tmp_path / "loans.xlsx", {"Loans": sheet}))) == [("1", "2", 3)]


def test_the_first_visible_sheet_is_read_with_a_notice_or_the_declared_one(tmp_path: Path) -> None:
    path = workbook(tmp_path / "loans.xlsx", {".Lists": [["x"]], "Cover & more": LOANS, "Cars": [["id", "n"], [7, 8]]})

    first, cars = open_table(path), open_table(path, FileSettings(sheet="Cars"))

    assert rows(first) == [("1", "100.5", "2024-03-01", 2), ("2", "0.3", "2024-03-02", 3)]
    assert first.layout.notices == (
        "it has 2 sheets, Cover & more, Cars: Cover & more is read; declare another `sheet` in the lender's file",
    )
    assert (rows(cars), cars.layout.notices) == ([("7", "8", 2)], ())


def test_lines_before_the_header_may_be_declared(tmp_path: Path) -> None:
    path = workbook(tmp_path / "loans.xlsx", {"L": [["a", "b"], ["id", "name"], ["1", "x"]]})

    file = open_table(path, FileSettings(title_lines=1))

    assert (file.columns, rows(file)) == (("id", "name"), [("1", "x", 3)])


def test_a_person_s_rows_go_and_the_others_keep_their_number(tmp_path: Path) -> None:
    """The other sheets go too: they may name the person as well."""
    path = workbook(tmp_path / "loans.xlsx", {"Cover": [["x"]], "Loans": LOANS})
    declared = FileSettings(sheet="Loans")

    open_table(path, declared).write_without({2}, tmp_path / "rewritten")

    assert rows(open_table(tmp_path / "rewritten", declared)) == [("2", "0.3", "2024-03-02", 3)]
    assert b"100.5" not in (tmp_path / "rewritten").read_bytes()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def swap(path: Path, part: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in parts.items():
            archive.writestr(name, content if name == part else old)


@pytest.mark.parametrize(
    ("sheets", "declared", "found"),
    [
        ({"Loans": LOANS}, FileSettings(sheet="Cars"), "its sheet 'Cars' is declared; it has Loans"),
        ({"Loans": []}, None, "the sheet is empty"),
        ({"Loans": LOANS}, FileSettings(title_lines=5), "the sheet holds no header"),
        ({"Loans": [["id", "ID"], [1, 2]]}, None, "names columns twice: id"),
        ({"Loans": [["id", "%"], [1, 2]]}, None, "must have a letter or digit: found '%'"),
    ],
)
def test_an_unusable_sheet_is_refused(
    tmp_path: Path, sheets: dict[str, list[list[object]]], declared: FileSettings | None, found: str
) -> None:
    path = workbook(tmp_path / "loans.xlsx", sheets)

    with pytest.raises(SourceFileError, match=f"loans.xlsx must be an Excel workbook .*{found}.*nothing of it"):
        open_table(path, declared)


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "loans.xlsx", {"Loans": LOANS})
    swap(path, "xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row r='1'><c r='A1' t='s'><v>7</v></c></row>")
    with pytest.raises(SourceFileError, match=r"it cannot be read|it is damaged"):
        rows(open_table(path))

    content = bytearray(workbook(path, {"Loans": LOANS}).read_bytes())
    at = content.index(b"xl/workbook.xml") + 30
    content[at : at + 8] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match="its archive is damaged"):
        open_table(path)

    cut(path)
    with pytest.raises(SourceFileError, match="a zip archive"):
        open_table(path)


def test_limits_hold_before_a_sheet_is_in_memory(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "loans.xlsx", {"Loans": LOANS})

    with pytest.raises(SourceFileError, match="must unpack to at most 10 bytes"):
        open_table(path, limits=replace(home, file_gigabytes=1e-8))
    with pytest.raises(SourceFileError, match="must have at most 1 rows: found 2"):
        rows(open_table(path, limits=replace(home, file_rows=1)))
    monkeypatch.setattr(workbook_parts, "MOST_BYTES", 1_000)
    with pytest.raises(SourceFileError, match="may unpack to 1,000 bytes, because a sheet is held in memory: found"):
        open_table(path)
