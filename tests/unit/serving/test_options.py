"""Limits from the environment; what cannot be used is named."""

import pytest

from serving.options import ServingOptions
from warehouse.errors import SettingError


def test_limits_are_read_from_the_environment() -> None:
    options = ServingOptions.from_environment({"LOANLAKE_BATCH_ROWS": "20", "LOANLAKE_METRICS": "key"})

    assert (options.batch_rows, options.metrics_need_key) == (20, True)
    assert options.body_bytes == ServingOptions().body_bytes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOANLAKE_BATCH_ROWS", "0"),
        ("LOANLAKE_BATCH_ROWS", "many"),
        ("LOANLAKE_BATCH_ROWS", "10001"),
        ("LOANLAKE_BODY_BYTES", "-1"),
        ("LOANLAKE_WAITING_DECISIONS", "1e3"),
        ("LOANLAKE_METRICS", "closed"),
    ],
)
def test_a_limit_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name} must be .*{value}"):
        ServingOptions.from_environment({name: value})
