"""What separates a file's fields and where its header is: found where it shows, asked for where it does not."""

import pytest

from warehouse.lenders.files import FileSettings
from warehouse.readers.csv_head import MOST_COLUMNS, CsvHead, HeaderProblem, column_names, find_head, other_separator

NOTHING = FileSettings()


def head(text: str, declared: FileSettings = NOTHING) -> CsvHead:
    return find_head(text.split("\n"), declared, lambda line: line.startswith("Note"))


def test_letters_of_any_script_make_names() -> None:
    """`Größe` became gr_e, and a header in Japanese had no name for any column."""
    assert column_names("Größe,数,金額,Номер Договора,salário %,90 days late") == (
        "grosse",
        "数",
        "金額",
        "номер_договора",
        "salario",
        "90_days_late",
    )


@pytest.mark.parametrize(
    ("text", "delimiter", "line", "columns"),
    [
        ("id,amount\n1,2", ",", 1, ("id", "amount")),
        ("id;amount\n1;2,5", ";", 1, ("id", "amount")),
        ('"id";"amount"\n"1";"2"', ";", 1, ("id", "amount")),
        ("id\tamount\n1\t2", "\t", 1, ("id", "amount")),
        ("id|amount\n1|2", "|", 1, ("id", "amount")),
        ("id;amount, in EUR\n1;2\n2;3", ";", 1, ("id", "amount_in_eur")),
        ("id a b\n1 2 3\n4 5  6", " ", 1, ("id", "a", "b")),
        ("sep=;\nid;amount\n1;2", ";", 2, ("id", "amount")),
        ("Loan No.\nA-1\nA-2", ",", 1, ("loan_no",)),
        ("name\nSmith\nJones, Jr\nBrown", ",", 1, ("name",)),
        ("\nNote: x\nid,amount\n1,2", ",", 3, ("id", "amount")),
        ("Loans of March\n\nid,amount\n1,2\n3,4", ",", 3, ("id", "amount")),
        ("Loans,,\nid,amount,months\n1,2,3", ",", 2, ("id", "amount", "months")),
        ("Loans\nid,amount\n1,2\n3", ",", 2, ("id", "amount")),
        ("Loans\nid,amount\n1,2\n3,4,5\n6,7", ",", 2, ("id", "amount")),
        ("Bank of X\nLoans\nid;name\n1;a\n2;b", ";", 3, ("id", "name")),
    ],
)
def test_what_shows_is_found(text: str, delimiter: str, line: int, columns: tuple[str, ...]) -> None:
    found = head(text)

    assert (found.delimiter, found.line, found.columns) == (delimiter, line, columns)


def test_what_is_declared_is_not_looked_for() -> None:
    assert head("Portfolio, March\nid,amount\n1,2", FileSettings(title_lines=1)).line == 2
    assert head("id,amount;currency\n1,5;USD", FileSettings(delimiter=";")).columns == ("id_amount", "currency")
    assert head("Full name\nJohn Smith", FileSettings(delimiter=",")).columns == ("full_name",)
    assert head("id  amount\n1 2", FileSettings(delimiter="blanks")).columns == ("id", "amount")
    assert head("id\tamount\n1\t2", FileSettings(delimiter="tab")).columns == ("id", "amount")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id,amount;currency\n1,5;USD\n2,7;EUR", "may be separated by commas or semicolons: declare its `delimiter`"),
        ("Full name\nJohn Smith\nJane Doe", "separated by blanks, or it has one column: declare its `delimiter`"),
        ("", "it holds no header"),
        ('""\n""', "its header has no name for column 1$"),
        ("id,amount,\n1,2,", "no name for column 3: its header ends with a separator"),
        ("id,,amount\n1,2,3", "no name for column 2$"),
        ("id,\n1,2", r"no name for column 2. Is it a title \('id'\)\? Declare its `title_lines`"),
        ("Loans,,\nid,name,state\na,b,c", r"no name for column 2, 3. Is it a title \('Loans'\)\?"),
        ("id,%%,amount\n1,2,3", "a name in its header must have a letter or digit: found '%%'"),
        ('id,"amount\ndue"', "one is not closed, and a name must not break over lines"),
        ('id,"amount"due', "a quoted name must end where its quotes end"),
        ("id,Größe,GROSSE", "names columns twice: grosse"),
        ("x" * 201 + ",id", "the name of column 1 is longer than 200 characters"),
        ("x," * MOST_COLUMNS, "it has 10,001 columns, and 10,000 at most can be loaded"),
    ],
)
def test_what_is_the_matter_with_a_header_is_said(text: str, found: str) -> None:
    with pytest.raises(HeaderProblem, match=found):
        head(text)


def test_a_row_is_never_taken_for_the_header() -> None:
    """`name` above rows of two fields may be a title or a header of one name: no row of it becomes the names."""
    assert head("name\nJohn,Smith\nJane,Doe").columns == ("name",)
    assert head("name\n1,2\n3,4").columns == ("name",)


def test_a_body_over_http_has_commas() -> None:
    assert other_separator("id,amount") is None
    assert other_separator("sep=;") == "its fields are separated by semicolons: write it with commas"
