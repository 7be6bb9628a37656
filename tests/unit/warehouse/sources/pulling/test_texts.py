"""Values become texts without losing a digit, and cursor values move one way."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from warehouse.errors import PullError
from warehouse.sources.pulling.texts import Furthest, cursor_of, earlier, json_text, read_json, text_of

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "number", ["0.10", "12345678901234567890.123456789", "1e400", "123456789012345678901234567890"]
)
def test_json_keeps_every_digit(number: str) -> None:
    """Parsed as a float, a balance would come back as another number, and 1e400 as infinity."""
    found = read_json(f'{{"amount": {number}, "nested": {{"amount": {number}}}}}'.encode())

    assert Decimal(str(text_of(found["amount"]))) == Decimal(number)
    assert read_json(json_text(found["nested"]).encode())["amount"] == Decimal(number)


def test_a_type_without_an_exact_text_is_refused() -> None:
    with pytest.raises(ValueError, match="of the type complex"):
        text_of(1j)


def test_the_cursor_is_the_highest_value_whatever_the_order_of_the_rows() -> None:
    furthest = Furthest("updated_at", "2024-02-01T00:00:00Z", NOW)

    furthest.see(["2024-02-03T00:00:00Z", "2024-02-02T23:00:00-05:00", None, "2024-01-01T00:00:00Z"])

    assert furthest.text == "2024-02-02T23:00:00-05:00", "a moment, not a text, is compared"
    assert furthest.notices() == ("rows without a value of updated_at: 1; each pull reads them again",)


def test_a_cursor_of_a_far_day_does_not_end_all_pulls() -> None:
    """One row of 9999-12-31 would otherwise be the last that is ever read."""
    furthest = Furthest("updated_at", None, NOW)

    furthest.see(["2024-02-03", "9999-12-31"])

    assert furthest.text == "2024-02-03"
    assert furthest.notices() == ("rows with updated_at after tomorrow: 1; they do not move the cursor",)


@pytest.mark.parametrize("texts", [["yesterday"], ["1", "2024-02-03"], ["2024-02-03T00:00:00", "2024-02-04T00:00:00Z"]])
def test_a_cursor_that_cannot_be_compared_is_refused(texts: list[str]) -> None:
    furthest = Furthest("updated_at", None, NOW)
    furthest.see(texts)

    with pytest.raises(PullError, match=r"the cursor updated_at must have numbers, dates or times .*: found"):
        furthest.require_any()


@pytest.mark.parametrize("before", [None, "2024-02-01T00:00:00Z"])
def test_a_row_with_another_kind_of_cursor_value_costs_no_other_row(before: str | None) -> None:
    furthest = Furthest("updated_at", before, NOW)

    furthest.see(["n/a", "7", "2024-02-03T00:00:00Z", "2024-02-04T00:00:00Z", "2024-02-05T00:00:00Z"])
    furthest.require_any()

    assert furthest.text == "2024-02-05T00:00:00Z"
    assert furthest.notices() == (
        "rows with updated_at of another kind, such as 'n/a': 1; they do not move the cursor",
        "rows with updated_at of another kind, such as '7': 1; they do not move the cursor",
    )


def test_looking_back_is_in_the_unit_of_the_cursor() -> None:
    assert [text_of(earlier(cursor_of(text), 60)) for text in ("100", "2024-03-01", "2024-03-01T00:00:00Z")] == [
        "40",
        "2024-01-01",
        "2024-02-29 23:59:00+00:00",
    ]
