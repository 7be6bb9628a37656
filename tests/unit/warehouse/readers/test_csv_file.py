"""A CSV file read whole: values as text, true lines, and a clear refusal of what is no CSV."""

import csv
import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.errors import SourceFileError
from warehouse.lenders.files import FileSettings
from warehouse.readers import csv_file
from warehouse.readers.csv_file import CsvFile
from warehouse.readers.csv_lines import NOTE


def write(tmp_path: Path, content: str | bytes, name: str = "loans.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(file: CsvFile) -> list[dict[str, object]]:
    return [row for batch in file.batches(file.columns) for row in batch.to_pylist()]


def test_values_are_text_as_written_and_empty_ones_null(tmp_path: Path) -> None:
    file = CsvFile(write(tmp_path, 'Id,Amount,note\n007, 1.50,""\n2,,"a ""b"", c"\n'))

    assert rows(file) == [
        {"id": "007", "amount": " 1.50", "note": None, "_line": 2},
        {"id": "2", "amount": None, "note": 'a "b", c', "_line": 3},
    ]


def test_words_that_other_readers_take_for_null_are_kept(tmp_path: Path) -> None:
    """A borrower in Namibia has region NA."""
    file = CsvFile(write(tmp_path, "region,x\nNA,null\n"))

    assert rows(file)[0]["region"] == "NA"


def test_gzip_is_known_by_content_and_read_alike(tmp_path: Path) -> None:
    file = CsvFile(write(tmp_path, gzip.compress(b"a,b\n1,2\n", mtime=0), name="loans.txt"))

    assert rows(file) == [{"a": "1", "b": "2", "_line": 2}]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert CsvFile(write(tmp_path, "\ufeffid,b\n1,2\n")).columns == ("id", "b")


def test_a_missing_line_break_at_the_end_loses_no_row(tmp_path: Path) -> None:
    assert [row["a"] for row in rows(CsvFile(write(tmp_path, "a,b\n1,2\n3,4")))] == ["1", "3"]


def test_notes_before_the_header_and_after_the_rows_are_rejected_by_line(tmp_path: Path) -> None:
    file = CsvFile(write(tmp_path, "Notes offered by X\nid,b\n1,2\n\nTotal: 3,\n"), notes=("Notes offered", "Total"))

    assert [row["_line"] for row in rows(file)] == [3]
    assert [(line.line, line.value) for line in file.rejected] == [(1, "Notes offered by X"), (5, "Total: 3,")]


@pytest.mark.parametrize("header", ["id,b", '"id","b"', "id;b"])
def test_a_header_that_stands_again_is_a_note_and_no_row(tmp_path: Path, header: str) -> None:
    """A file put together from several: its amounts would be "amount", and its outcomes "status"."""
    mark = ";" if ";" in header else ","
    lines = ["Title", header, f"1{mark}2", header, f'"5"{mark}6', f"3{mark}4"]

    file = CsvFile(write(tmp_path, "\r\n".join(lines) + "\r\n"))

    assert [row["_line"] for row in rows(file)] == [3, 5, 6]
    assert [(line.line, line.reason) for line in file.rejected] == [(1, NOTE), (4, NOTE)]


def test_the_only_name_of_a_file_may_be_a_value(tmp_path: Path) -> None:
    assert [row["name"] for row in rows(CsvFile(write(tmp_path, "name\nAnn\nname\n")))] == ["Ann", "name"]


def test_lines_stay_true_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 16)
    lines = ["id,note", '1,"two', 'lines"', "", "2,b", "3", '4,"', '"', "5,c"]

    file = CsvFile(write(tmp_path, "\n".join(lines) + "\n"))

    assert [(row["id"], row["_line"]) for row in rows(file)] == [("1", 2), ("2", 5), ("4", 7), ("5", 9)]
    assert [line.line for line in file.rejected] == [6]


def test_a_file_can_be_read_again(tmp_path: Path) -> None:
    file = CsvFile(write(tmp_path, "a,b\n1,2\n3\n"))

    assert rows(file) == rows(file)
    assert len(file.rejected) == 1


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\n\n", "it holds no header"),
        (
            b"id,amount\n1,caf\xe9\n",
            "byte 0xe9 on line 2 is not UTF-8, and says 'café' as cp1252, .*: declare its `encoding` in",
        ),
        (
            "id,amount\n1,2\n".encode("utf-16"),
            "UTF-16 text: declare `encoding: utf-16` in the lender's file",
        ),
        (b"\x7fELF\x02\x01\x01\0\0\0", "a binary file"),
        (b"id,,amount\n1,2,3\n", "no name for column 2"),
        (b"id,Amount,amount\n1,2,3\n", "names columns twice: amount"),
        (b'id,"amount\n1,2\n', "quotes of its header are broken"),
        (gzip.compress(b"id,amount\n" + b"1,2\n" * 1000, mtime=0)[:-20], "gzip stream is damaged or cut short"),
        (gzip.compress(b"id,amount\n", mtime=0)[:12], "gzip stream is damaged or cut short"),
        (b"BZh91AY&SY", "compressed by bzip2"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "gzipped twice: unpack it once"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            r"an old Excel workbook \(\.xls\), or one with a password",
        ),
        ("id,amount\n1,2\n".encode("utf-16-le"), "UTF-16 text"),
        ("id,amount\n1,2\n".encode("utf-16-be"), "UTF-16 text"),
        ("id,amount\n1,2\n".encode("utf-32"), "UTF-32 text"),
        (b"\xef\xbb\xbf\n <html><table>", "HTML or XML"),
        (b'[{"id": 1}]', "JSON: write one object a line"),
        (b"id," + b"x" * (5 << 20) + b"\n1,2\n", "a line near its beginning is longer than 4 MB"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_for_what_was_found(tmp_path: Path, content: bytes, found: str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(SourceFileError, match=rf"loans\.csv must be a table .*{found}.*nothing of it was loaded"):
        rows(CsvFile(path))


@pytest.mark.parametrize(
    ("member", "found"),
    [
        ("xl/workbook.xml", r"an Excel workbook \(\.xlsx\): save the sheet as CSV UTF-8, or as Parquet"),
        ("content.xml", "an OpenDocument spreadsheet: save it as .xlsx"),
    ],
)
def test_a_spreadsheet_is_named_as_one(tmp_path: Path, member: str, found: str) -> None:
    """It was "a zip archive: unpack it first"."""
    with zipfile.ZipFile(tmp_path / "loans.xlsx", "w") as archive:
        archive.writestr("mimetype", "")
        archive.writestr(member, "")

    with pytest.raises(SourceFileError, match=found):
        CsvFile(tmp_path / "loans.xlsx")


def test_line_ends_of_old_macs_are_line_ends(tmp_path: Path) -> None:
    """ "The quotes of its header are broken" was said of such a file."""
    file = CsvFile(write(tmp_path, 'id,note\r1,"two\rlines"\r2,b\r'))

    assert [(row["id"], row["note"], row["_line"]) for row in rows(file)] == [("1", "two\nlines", 2), ("2", "b", 4)]


def test_mixed_line_ends_lose_no_row_and_a_lone_carriage_return_is_named(tmp_path: Path) -> None:
    file = CsvFile(write(tmp_path, "id,note\r\n1,a\n2,b\r\n3,c\r4,d\n"))

    assert [(row["id"], row["note"]) for row in rows(file)] == [("1", "a"), ("2", "b")]
    assert [(line.line, line.reason) for line in file.rejected] == [
        (4, "a carriage return within the line, outside quotes")
    ]


def test_a_long_quoted_value_is_a_value(tmp_path: Path) -> None:
    """The csv module's own limit is 128 KB: "field larger than field limit" was the reason for its rejection."""
    file = CsvFile(write(tmp_path, f'id,note\n1,"{"x, " * 70_000}"\n'))

    assert [(row["id"], len(str(row["note"]))) for row in rows(file)] == [("1", 210_000)]


def test_the_line_that_tells_excel_the_separator_is_a_note(tmp_path: Path) -> None:
    """It had "no name for column 2"."""
    file = CsvFile(write(tmp_path, "sep=,\r\nid,amount\r\n1,2\r\n"))

    assert [(row["id"], row["_line"]) for row in rows(file)] == [("1", 3)]
    assert [(line.line, line.value, line.reason) for line in file.rejected] == [(1, "sep=,", NOTE)]


@pytest.mark.parametrize(
    ("content", "read_as"),
    [
        ('id;amount\n1;"2,5"\n2;"a;b"\n', "semicolons"),
        ("id\tamount\n1\t2,5\n\t\n2\ta;b\n", "tabs"),
        ('id|amount\n1|2,5\n2|"a;b"\n', "bars"),
        ("id amount note\n1   2,5 x\n 2 a;b  y \r\n", "blanks"),
        ("Loans of March 2024\n\nid;amount\n1;2,5\n2;3\n", "semicolons, 2 lines before the header"),
        ("sep=;\nid;amount\n1;2,5\n", "semicolons, 1 line before the header"),
    ],
)
def test_other_separators_and_titles_are_found_and_reported(tmp_path: Path, content: str, read_as: str) -> None:
    file = CsvFile(write(tmp_path, content))

    assert (rows(file)[0]["id"], rows(file)[0]["amount"]) == ("1", "2,5")
    assert str(file.layout) == read_as
    again = CsvFile(file.path, file.layout.settings)
    assert (rows(again), again.rejected, again.layout) == (rows(file), file.rejected, file.layout)


def test_blanks_between_fields_are_one_separator_and_quotes_keep_them(tmp_path: Path) -> None:
    text = 'id city note\n1  "New York" -\n2 Rome a b\n3 "Rome\n\n  \n4\tx Oslo -\n'

    file = CsvFile(write(tmp_path, text), FileSettings(delimiter="blanks"))

    assert [tuple(row.values()) for row in rows(file)] == [("1", "New York", "-", 2), ("4\tx", "Oslo", "-", 7)]
    assert [(line.line, line.reason) for line in file.rejected] == [
        (3, "4 fields instead of 3"),
        (4, "a quote is opened and never closed"),
    ]


def test_a_row_of_empty_fields_is_one_whatever_separates_them(tmp_path: Path) -> None:
    """The lines beside it, quoted or not, decided it: a tab is a blank too."""
    for other in ("2\tb", '2\t"b"'):
        file = CsvFile(write(tmp_path, f"id\tnote\n1\ta\n\t\n{other}\n"))

        assert [row["_line"] for row in rows(file)] == [2, 3, 4]


def test_declared_title_lines_are_notes_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    file = CsvFile(write(tmp_path, "Portfolio, March\nall, rows\nid,name\n1,a\n"), FileSettings(title_lines=2))

    assert rows(file) == [{"id": "1", "name": "a", "_line": 4}]
    assert [(line.line, line.value, line.reason) for line in file.rejected] == [
        (1, "Portfolio, March", NOTE),
        (2, "all, rows", NOTE),
    ]


@pytest.mark.parametrize(
    ("declared", "written", "read_as"),
    [
        ("cp1252", "cp1252", "cp1252"),
        ("latin-1", "latin-1", "latin-1"),
        ("utf-16", "utf-16", "utf-16-le"),
        ("utf-16", "utf-16-be", "utf-16-be"),
        ("utf-8", "utf-8-sig", ""),
        ("cp1252", "utf-8-sig", ""),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_declared_encoding_is_read(
    tmp_path: Path, declared: str, written: str, read_as: str, is_packed: bool
) -> None:
    content = 'id,Größe\n1,"Zürich\nOst"\n2,ß\n'.encode(written)
    path = write(tmp_path, gzip.compress(content) if is_packed else content)

    file = CsvFile(path, FileSettings(encoding=declared))

    assert [tuple(row.values()) for row in rows(file)] == [("1", "Zürich\nOst", 2), ("2", "ß", 4)]
    assert (file.columns, str(file.layout)) == (("id", "grosse"), read_as)


def test_line_ends_of_old_macs_are_line_ends_in_any_encoding(tmp_path: Path) -> None:
    path = write(tmp_path, "Größe;b\r1;2\r".encode("utf-16"))

    assert rows(CsvFile(path, FileSettings(encoding="utf-16"))) == [{"grosse": "1", "b": "2", "_line": 2}]


@pytest.mark.parametrize(
    ("declared", "content", "found"),
    [
        ("cp1252", b"id,b\n1,a\n2,\x81\n", "its line 3 is not cp1252, as which it is declared: correct `encoding`"),
        ("cp1252", "id,b\n1,Zürich\n".encode(), "it is declared as cp1252, and is UTF-8"),
        ("utf-16", b"id,b\n1,2\n", "it is declared as utf-16, and is not"),
        ("latin-1", "id,b\n1,2\n".encode("utf-16"), "it is declared as latin-1, and begins with the mark of UTF-16"),
        ("shift_jis", b"id,b\n1,2\x82", "its line 2 is not shift_jis"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, declared: str, content: bytes, found: str) -> None:
    """`Zürich` in UTF-8 is `ZÃ¼rich` in cp1252: a value that nobody wrote."""
    with pytest.raises(SourceFileError, match=found):
        rows(CsvFile(write(tmp_path, content), FileSettings(encoding=declared)))


def test_a_zip_archive_is_named_as_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "loans.csv", "w") as archive:
        archive.writestr("loans.csv", "a,b\n1,2\n")

    with pytest.raises(SourceFileError, match="a zip archive: unpack it first"):
        CsvFile(tmp_path / "loans.csv")


def test_a_file_of_mostly_other_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejected lines are kept in memory: a wrong file of a hundred million lines must not fill it."""
    monkeypatch.setattr(csv_file, "MAX_REJECTED_LINES", 3)
    path = write(tmp_path, "a,b\n" + "1\n" * 5)

    with pytest.raises(SourceFileError, match=r"more than 3 of its lines are not rows \(line 2: 1 field "):
        rows(CsvFile(path))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_file, "MAX_LINE_BYTES", 256)

    with pytest.raises(SourceFileError, match="line 2 is longer than"):
        rows(CsvFile(write(tmp_path, "a,b\n" + "1" * 1000 + ",2\n")))


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(table=st.lists(st.tuples(values, values), min_size=1, max_size=6), quoting=st.sampled_from([0, 1]))
def test_what_the_csv_module_writes_is_read_back_equal(
    tmp_path: Path, table: list[tuple[str, str]], quoting: int
) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting, lineterminator="\n").writerows([("a", "b"), *table])

    found = [(row["a"] or "", row["b"] or "") for row in rows(CsvFile(path))]

    # a line of blanks alone is no row, whatever wrote it
    assert found == table
