"""How dates are written; a day that may be a month is left to a person."""

from typing import Any

import pytest

from tests.unit.warehouse.profiling.columns_of_text import column_of
from warehouse.profiling.spelling import spelling_of


@pytest.mark.parametrize(
    ("texts", "kind", "keys"),
    [
        (["2024-03-01", "2024-04-01"], "date", {}),
        (["2022-01-10 09:30:00", "2022-02-01T14:00Z"], "timestamp", {}),
        (["13/04/2024", "05/06/2024"], "date", {"pattern": "DD/MM/YYYY"}),
        (["04/13/2024", "05/06/2024"], "date", {"pattern": "MM/DD/YYYY"}),
        (["3/24/2024", "12/1/2024"], "date", {"pattern": "M/D/YYYY"}),
        (["03.04.2024", "05.06.2024"], "date", {"pattern": "DD.MM.YYYY"}),
        (["2024/03/01"], "date", {"pattern": "YYYY/MM/DD"}),
        (["5 Mar 2024", "13 Apr 2024"], "date", {"pattern": "D Mon YYYY"}),
        (["March 5, 2024"], "date", {"pattern": "Month D, YYYY"}),
        (["31.01.2024 14:30", "01.02.2024 09:00"], "timestamp", {"pattern": "DD.MM.YYYY HH:mm"}),
        (["3/24/2024 9:30 AM", "12/1/2024 12:05 PM"], "timestamp", {"pattern": "M/D/YYYY H:mm AM"}),
        (["2024-03-24 09:30:00 pm"], "timestamp", {"pattern": "YYYY-MM-DD HH:mm:SS AM"}),
        (["24.3.2024 9:30", "1.12.2024 19:05"], "timestamp", {"pattern": "D.M.YYYY H:mm"}),
        (["Jan-2020", "Feb-2021"], "month", {}),
        (["2020-01", "2021-12"], "month", {"pattern": "YYYY-MM"}),
        (["01/2020", "12/2021"], "month", {"pattern": "MM/YYYY"}),
        (["2024-03-01", "31.12.2023"], "date", {"pattern": ["YYYY-MM-DD", "DD.MM.YYYY"]}),
    ],
)
def test_the_pattern_of_dates(texts: list[str], kind: str, keys: dict[str, Any]) -> None:
    spelling = spelling_of(column_of(*texts), may_be_date=False)

    assert (spelling.kind, dict(spelling.keys)) == (kind, keys)
    assert spelling.choices == {}


def test_a_day_that_may_be_a_month_is_a_choice() -> None:
    spelling = spelling_of(column_of("03/04/2024", "05/06/2024"), may_be_date=False)

    assert spelling.choices == {"pattern": ("DD/MM/YYYY", "MM/DD/YYYY")}


def test_days_and_months_mixed_up_are_no_dates() -> None:
    """13/04 has the day first, 04/13 the month: no pattern reads both."""
    assert spelling_of(column_of("13/04/2024", "04/13/2024"), may_be_date=False).kind == "text"


def test_two_digits_of_a_year_do_not_lie_in_the_future() -> None:
    spelling = spelling_of(column_of("24.12.98", "24.12.05"), may_be_date=False)

    assert spelling.keys["pattern"] == "DD.MM.YY"
    assert 26 <= spelling.keys["pivot"] <= 99


@pytest.mark.parametrize(
    ("texts", "keys", "choices"),
    [
        (["20240131", "20231201"], {"pattern": "YYYYMMDD"}, {}),
        (["43831", "44000"], {"epoch": "excel"}, {}),
        (["1700000000"], {"epoch": "unix_seconds"}, {}),
        (["15000", "16000"], {"epoch": "sas"}, {"epoch": ("sas", "unix")}),
    ],
)
def test_digits_alone_are_dates_only_where_the_name_says_so(
    texts: list[str], keys: dict[str, Any], choices: dict[str, Any]
) -> None:
    spelling = spelling_of(column_of(*texts), may_be_date=True)

    assert (dict(spelling.keys), spelling.choices) == (keys, choices)
    assert spelling_of(column_of(*texts), may_be_date=False).kind == "number"
