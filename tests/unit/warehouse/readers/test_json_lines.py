"""JSON lines: a number as it is written, nested values as JSON, and a line that is no object is rejected alone."""

import gzip
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import SourceFileError
from warehouse.readers import json_lines
from warehouse.readers.opening import open_table
from warehouse.readers.table_file import TableFile
from warehouse.settings import Settings


def opened(tmp_path: Path, text: str, *, is_packed: bool = False) -> TableFile:
    path = tmp_path / "loans.csv"  # the content decides
    path.write_bytes(gzip.compress(text.encode()) if is_packed else text.encode())
    return open_table(path)


def rows(file: TableFile) -> list[dict[str, object]]:
    return [row for batch in file.batches(file.columns) for row in batch.to_pylist()]


@pytest.mark.parametrize("is_packed", [False, True])
def test_values_are_texts_as_they_are_written(tmp_path: Path, is_packed: bool) -> None:
    text = (
        '\ufeff{"Loan No.": "A-1", "amount": 1.10, "big": 12345678901234567890, "ok": true}\n'
        "\n"
        '{"Loan No.": "Z\\u00fcrich: x", "new": {"a": [1, "b"]}, "list": [1, 2], "amount": null, "ok": ""}\r\n'
    )

    file = opened(tmp_path, text, is_packed=is_packed)

    assert [tuple(row.values()) for row in rows(file)] == [
        ("A-1", "1.10", "12345678901234567890", "true", None, None, 1),
        ("Zürich: x", None, None, None, '{"a": [1, "b"]}', "[1, 2]", 3),
    ]
    assert file.columns == ("loan_no", "amount", "big", "ok", "new", "list")
    assert str(file.layout) == "json lines"


def test_a_line_that_is_no_object_is_rejected_alone(tmp_path: Path) -> None:
    lines = [
        '{"id": 1, "note": "a: b"}',
        "[1]",
        '{"id": 2',
        '{"id": 3, "id": 4}',
        '{"id": 5} {"id": 6}',
        '{"id": NaN}',
        '{"id": "\\ud800"}',
        '{"id": ' + 3_000 * '{"a": ' + "1" + 3_000 * "}" + "}",
        '{"id": 7}',
    ]

    file = opened(tmp_path, "\n".join(lines))

    assert [(row["id"], row["_line"]) for row in rows(file)] == [("1", 1), ("7", 9)]
    assert [(line.line, line.reason) for line in file.rejected] == [
        (2, "not one object of JSON on one line"),
        (3, "not one object of JSON on one line"),
        (4, "a key that stands twice"),
        (5, "not one object of JSON on one line"),
        (6, "not one object of JSON on one line"),
        (7, "not one object of JSON on one line"),
        (8, "not one object of JSON on one line"),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"id": 1, "ID": 2}', "names columns twice: id"),
        ('{"%": 1}', "must have a letter or digit: found '%'"),
        ('{\n"id": 1\n}\n', "none of its lines is an object of JSON with keys: write one object a line"),
        ('[{"id": 1}]', "it is JSON: write one object a line"),
        ('{"id": 1}\n{"id": "\x01"}\n{\n'.replace("\x01", "\udce9"), "byte 0xe9 on line 2 is not UTF-8"),
    ],
)
def test_a_file_without_usable_keys_is_refused(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "loans.jsonl"
    path.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(SourceFileError, match=f"loans.jsonl must be a table .*{found}.*nothing of it was loaded"):
        rows(open_table(path))


def test_limits_hold(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened(tmp_path, '{"id": 1}\n' * 3 + "x\n" * 3)
    with pytest.raises(SourceFileError, match="at most 2 rows: found 3"):
        rows(open_table(file.path, limits=replace(home, file_rows=2)))

    monkeypatch.setattr(json_lines, "MAX_REJECTED_LINES", 2)
    with pytest.raises(SourceFileError, match=r"more than 2 of its lines are not objects \(line 4: not one object"):
        rows(file)
    monkeypatch.setattr(json_lines, "MOST_COLUMNS", 2)
    with pytest.raises(SourceFileError, match="names columns twice"):
        opened(tmp_path, '{"a": 1, "A": 2, "b": 3}\n{"c": 1}')


def test_a_person_s_lines_go_and_a_rejected_line_is_found_by_its_key(tmp_path: Path) -> None:
    file = opened(tmp_path, '{"Loan No.": "ann"}\n{"Loan No.": "bob"}\n{"Loan No.": "ann", oops\n')
    list(file.batches(file.columns))

    file.write_without({1}, tmp_path / "rewritten")

    assert (tmp_path / "rewritten").read_text() == '\n{"Loan No.": "bob"}\n{"Loan No.": "ann", oops\n'
    field = file.rejected_field("loan_no")
    assert duckdb.execute(f"select {field} from (select $1 as value)", [file.rejected[0].value]).fetchall() == [
        ("ann",)
    ]
    assert file.rejected_field("other") is None
