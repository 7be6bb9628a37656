"""A lender moves any limit but parity's, and each gate that reads it says so."""

import json
from pathlib import Path

import pytest

from ml.judging.gate import GateLimits
from ml.judging.gate_limits import limits_of, plain_limits
from ml.judging.gates import MAX_FEATURE_AUC, MEAN_RATIO, MIN_AUC, MIN_TEST_ROWS
from warehouse.errors import SettingError
from warehouse.lenders.lender import Lender, MovedLimit


def _lender(**gates: float | tuple[float, float]) -> Lender:
    return Lender(Path("bank.yml"), gates={name: MovedLimit(limit, "minutes") for name, limit in gates.items()})


def test_a_lender_without_a_file_has_the_default_limits() -> None:
    assert limits_of(_lender()) == GateLimits()


def test_moved_limits_keep_their_reasons() -> None:
    limits = limits_of(_lender(max_feature_auc=0.95, min_test_rows=200.0, mean_ratio=(0.5, 2.0)))

    assert (limits[MAX_FEATURE_AUC], limits[MIN_TEST_ROWS], limits[MEAN_RATIO]) == (0.95, 200, (0.5, 2.0))
    assert limits.moved == dict.fromkeys(("max_feature_auc", "min_test_rows", "mean_ratio"), "minutes")
    assert limits[MIN_AUC] == MIN_AUC.default


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


def test_limits_survive_json_and_show_each_move() -> None:
    """A judgement keeps them: a candidate is judged again where they differ."""
    kept, moved = plain_limits(GateLimits()), plain_limits(limits_of(_lender(mean_ratio=(0.5, 2.0))))

    assert json.loads(json.dumps(moved)) == moved
    assert {name for name in kept if kept[name] != moved[name]} == {"mean_ratio", "moved"}
