"""The keys and values that --read accepts: what dbt would refuse is refused before anything is written."""

import pytest

from warehouse.errors import SettingError
from warehouse.profiling.spelling import require_key


@pytest.mark.parametrize(
    ("key", "value", "form"),
    [
        ("decimal", ",", "amount"),
        ("thousands", "none", "count"),
        ("currency", "US$", "amount"),
        ("unsigned", "fraction", "percent"),
        ("suffix", " months", "integer"),
        ("pattern", "DD/MM/YYYY", "date"),
        ("pattern", "D. Month YYYY HH:mm", "timestamp"),
        ("pattern", "YYYY-MM-DDTHH:mm:SS", "timestamp"),
        ("pattern", "Mon-YY", "month"),
        ("pivot", "30", "date"),
        ("epoch", "excel", "date"),
    ],
)
def test_what_a_reading_may_have_is_accepted(key: str, value: str, form: str) -> None:
    require_key("column", key, value, form)


@pytest.mark.parametrize(
    ("key", "value", "form", "message"),
    [
        ("unsigned", "banana", "percent", "--read column.unsigned= must be one of percent fraction: found 'banana'"),
        ("patern", "DD/MM/YYYY", "date", "found patern, did you mean pattern?"),
        ("colour", "red", "percent", "found colour; known are suffix, decimal"),
        ("pattern", "X", "date", "must be made of YYYY or YY"),
        ("pattern", "DD/DD/YYYY", "date", "must be made of YYYY or YY"),
        ("pattern", "MM/YYYY", "date", "DD or D, such as DD/MM/YYYY or DD.MM.YYYY HH:mm: found 'MM/YYYY'"),
        ("pattern", "DD/MM/YYYY", "month", "such as MM/YYYY: found 'DD/MM/YYYY'"),
        ("pattern", "DD/MM/YYYY", "amount", "must be a key of the format amount"),
        ("currency", "5", "amount", "must be a text of 1 to 10 characters"),
        ("decimal", ",", "text", "known are none"),
    ],
)
def test_what_dbt_would_refuse_is_named_with_the_right_key(key: str, value: str, form: str, message: str) -> None:
    with pytest.raises(SettingError) as refused:
        require_key("column", key, value, form)

    assert message in str(refused.value)
