"""What may be walked."""

from datetime import date
from typing import Any

import pytest

from ml.walk_forward.plan import POLICIES, WalkPlan, parse_month, parse_policies
from warehouse.errors import SettingError

NOVEMBER, FEBRUARY = date(2010, 11, 1), date(2011, 2, 1)


def test_months_run_over_the_end_of_a_year() -> None:
    plan = WalkPlan("bank", NOVEMBER, FEBRUARY)

    assert [f"{month:%Y-%m}" for month in plan.months] == ["2010-11", "2010-12", "2011-01", "2011-02"]


@pytest.mark.parametrize("text", ["2009", "2009-13", "2009-1-1", "January", ""])
def test_a_month_is_written_with_its_year(text: str) -> None:
    with pytest.raises(SettingError, match=f"YYYY-MM, such as 2009-01: found '{text}'"):
        parse_month(text)


def test_policies_are_walked_once_and_in_one_order() -> None:
    assert parse_policies(["drift", "never", "drift"]) == ("never", "drift")
    assert parse_policies([]) == POLICIES
    with pytest.raises(SettingError, match="never, monthly, drift: found weekly"):
        parse_policies(["monthly", "weekly"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"first": FEBRUARY, "last": NOVEMBER}, "must not end before it begins: found 2011-02 to 2010-11"),
        ({"run": "../elsewhere"}, r"found '../elsewhere'"),
        ({"label_window_months": 0}, "label_window_months must be at least 1: found 0"),
    ],
)
def test_what_cannot_be_walked_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        WalkPlan(**{"source": "bank", "first": NOVEMBER, "last": FEBRUARY, **wrong})
