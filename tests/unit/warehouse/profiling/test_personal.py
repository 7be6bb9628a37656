"""Columns that name a person."""

import pytest

from tests.unit.warehouse.profiling.columns_of_text import column_of
from warehouse.profiling.personal import personal


@pytest.mark.parametrize(
    ("name", "texts", "what"),
    [
        ("contact", ["ann@example.org", "bob@mail.example.com"], "an e-mail address"),
        ("field_7", ["CH93 0076 2011 6238 5295 7", "DE89370400440532013000"], "a bank account"),
        ("line", ["+41 44 123 45 67", "+49 30 1234567"], "a phone number"),
        ("last_name", ["Meier", "Muster"], "a name"),
        ("nome_completo", ["Ana Silva"], "a name"),
        ("customer_street_address", ["Main St 1", "High St 2"], "an address"),
        ("dob", ["1980-01-01"], "a birth date"),
        ("details", ['{"first": "Ann", "born": 1980}', '{"first": "Bob"}'], "nested data that may name a person"),
        ("contacts", ['["Ann", "Bob"]', '[{"first": "Ann"}]'], "nested data that may name a person"),
        ("balances", ["[12.5, 13]", "[0]"], None),
        ("amount", ["5000", "6000"], None),
        ("issue_date", ["2024-01-01"], None),
        ("file_name", ["a", "b"], None),
    ],
)
def test_names_and_values_show_a_person(name: str, texts: list[str], what: str | None) -> None:
    assert personal(column_of(*texts, name=name)) == what


def test_one_address_among_other_texts_is_not_a_column_of_addresses() -> None:
    assert personal(column_of("a@b.example", "none given", "see file", name="remark")) is None
