"""A lender moves any limit but parity's, and each gate that reads it says so."""

from dataclasses import fields
from pathlib import Path

import pytest

from ml.judging.gate_limits import IMMOVABLE, LIMITS_OF, GateLimits, limits_of
from warehouse.errors import SettingError
from warehouse.lenders.rules import Lender, MovedLimit


def _lender(**gates: float | tuple[float, float]) -> Lender:
    return Lender(Path("bank.yml"), gates={name: MovedLimit(limit, "minutes") for name, limit in gates.items()})


def test_a_lender_without_a_file_has_the_default_limits() -> None:
    assert limits_of(_lender()) == GateLimits()


def test_moved_limits_keep_their_reasons() -> None:
    limits = limits_of(_lender(max_feature_auc=0.95, min_test_rows=200.0, mean_ratio=(0.5, 2.0)))

    assert (limits.max_feature_auc, limits.min_test_rows, limits.mean_ratio) == (0.95, 200, (0.5, 2.0))
    assert limits.moved == dict.fromkeys(("max_feature_auc", "min_test_rows", "mean_ratio"), "minutes")
    assert limits.min_auc == GateLimits().min_auc


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        (
            {"max_onnx_difference": 1.0},
            r"gates.max_onnx_difference cannot be moved, for no reason: found 1.0",
        ),
        (
            {"max_acu": 0.97},
            r"gates.max_acu must be a limit of ml/judging/gates.py; known are min_test_rows, .*max_auc",
        ),
        ({"moved": 0.97}, r"gates.moved must be a limit"),
        ({"mean_ratio": 1.0}, r"mean_ratio.limit must be two numbers, low and high: found 1.0"),
        ({"max_auc": (0.5, 0.9)}, r"max_auc.limit must be one number"),
        ({"min_test_rows": 0.5}, r"min_test_rows.limit must be a whole number: found 0.5"),
    ],
)
def test_what_is_no_limit_or_cannot_be_moved_is_named(
    gates: dict[str, float | tuple[float, float]], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        limits_of(_lender(**gates))


def test_each_limit_belongs_to_a_gate_that_will_say_it_was_moved() -> None:
    movable = {each.name for each in fields(GateLimits)} - {*IMMOVABLE, "moved", "honest_features"}

    assert {name for names in LIMITS_OF.values() for name in names} == movable
