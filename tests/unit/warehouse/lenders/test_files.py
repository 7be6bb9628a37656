"""How a lender's files are read: its keys, and what is said of a wrong one."""

from pathlib import Path

import pytest

from warehouse.errors import SettingError
from warehouse.lenders.files import FileSettings
from warehouse.lenders.rules import read_lender


def files_of(tmp_path: Path, text: str) -> dict[str, FileSettings]:
    (tmp_path / "mybank.yml").write_text(text, encoding="utf-8")
    return dict(read_lender("mybank", tmp_path).files)


def test_each_kind_of_file_has_its_own_keys(tmp_path: Path) -> None:
    found = files_of(
        tmp_path,
        'files:\n  loans: {encoding: cp1252, delimiter: ";", title_lines: 2}\n'
        "  cars: {sheet: Cars, new_columns: ignore}\n",
    )

    assert found == {
        "loans": FileSettings(encoding="cp1252", delimiter=";", title_lines=2),
        "cars": FileSettings(sheet="Cars", new_columns="ignore"),
    }


def test_without_keys_everything_is_found_in_the_file(tmp_path: Path) -> None:
    assert files_of(tmp_path, "title: My Bank") == {}
    assert FileSettings() == FileSettings(None, None, None, None, "keep")


@pytest.mark.parametrize(
    ("declared", "separator"), [("tab", "\t"), ("blanks", " "), (";", ";"), ("\t", "\t"), (None, None)]
)
def test_a_delimiter_is_one_character(declared: str | None, separator: str | None) -> None:
    assert FileSettings(delimiter=declared).separator == separator  # type: ignore[arg-type]  # of the parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{delimiter: colons}", "files.loans.delimiter must be one of , ; | ^ ~ tab, or blanks: found 'colons'"),
        ("{title_lines: -1}", "files.loans.title_lines must be a whole number, 0 to 50: found -1"),
        ("{encoding: cp99}", "files.loans.encoding must be one that Python knows .*: found 'cp99'"),
        ("{encoding: utf-7}", "files.loans.encoding must be one .* in which ASCII is ASCII.*: found 'utf-7'"),
        ("{encoding: cp037}", "files.loans.encoding must be one .* in which ASCII is ASCII"),
        ("{encoding: punycode}", "files.loans.encoding must be one"),
        ("{new_columns: drop}", "files.loans.new_columns must be keep or ignore: found 'drop'"),
        ("{sheet: ' '}", "files.loans.sheet must be the name of a sheet"),
        ("{delimeter: ;}", "files.loans has an unknown key: found delimeter, did you mean delimiter"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingError, match=f"mybank.yml: {message}".replace("|", r"\|").replace("^", r"\^")):
        files_of(tmp_path, f"files: {{loans: {text}}}")
