"""A header's names, and what is said of one that has none."""

import pytest

from warehouse.sources.csv_header import MOST_COLUMNS, HeaderProblem, column_names


def test_letters_of_any_script_make_names() -> None:
    """`Größe` became gr_e, and a header in Japanese had no name for any column."""
    assert column_names("Größe,数,金額,Номер Договора,salário %") == (
        "grosse",
        "数",
        "金額",
        "номер_договора",
        "salario",
    )


@pytest.mark.parametrize(
    ("header", "following", "found"),
    [
        ("id a b", ["1 2 3", "4 5 6"], "its fields are separated by blanks: write it with commas"),
        ("id  amount", ["1     200"], "its fields are separated by blanks: write it with commas"),
        ("id;amount", ["1;2"], "its fields are separated by semicolons: write it with commas"),
        (
            "Loans,,",
            ["id,amount,months"],
            r"no name for column 2, 3. Is it a title \('Loans'\)\? Remove",
        ),
        ('"id";"amount"', ['"1";"2"'], "its fields are separated by semicolons: write it with commas"),
        ('""', ['""'], "its header has no name for column 1$"),
        ("id,amount,", ["1,2,"], "no name for column 3: its header ends with a comma"),
        ("id,,amount", ["1,2,3"], "no name for column 2$"),
        ("id,%%,amount", ["1,2,3"], "a name in its header must have a letter or digit: found '%%'"),
        ('id,"amount', ["due"], "one is not closed, and a name must not break over lines"),
        ('id,"amount"due', [], "a quoted name must end where its quotes end"),
        ("id,Größe,GROSSE", [], "names columns twice: grosse"),
        ("x" * 201 + ",id", [], "the name of column 1 is longer than 200 characters"),
        ("x," * MOST_COLUMNS, [], "it has 10,001 columns, and 10,000 at most can be loaded"),
    ],
)
def test_what_is_the_matter_with_a_header_is_said(header: str, following: list[str], found: str) -> None:
    with pytest.raises(HeaderProblem, match=found):
        column_names(header, following)


def test_one_column_whose_name_has_blanks_is_a_table_all_the_same() -> None:
    assert column_names("Loan No.", ["A-1", "A-2"]) == ("loan_no",)
