"""A lender moves any limit but parity's, and each gate that reads it says so."""

import json
from math import inf, nan
from pathlib import Path

import pytest

from ml.judging.gate import GateLimits
from ml.judging.gate_limits import limits_of, plain_limits
from ml.judging.gates import GATES, MAX_FEATURE_AUC, MEAN_RATIO, MIN_AUC, MIN_TEST_ROWS
from warehouse.errors import SettingError
from warehouse.lenders.lender import Lender, MovedLimit


def _lender(**gates: float | tuple[float, float]) -> Lender:
    return Lender(Path("bank.yml"), gates={name: MovedLimit(limit, "minutes") for name, limit in gates.items()})


def test_a_lender_without_a_file_has_the_default_limits() -> None:
    assert limits_of(_lender()) == GateLimits()


def test_each_default_is_in_its_range() -> None:
    assert [limit.name for gate in GATES for limit in gate.limits if not limit.holds(limit.default)] == []


def test_moved_limits_keep_their_reasons() -> None:
    limits = limits_of(_lender(max_feature_auc=0.95, min_test_rows=200.0, mean_ratio=(0.5, 2.0)))

    assert (limits[MAX_FEATURE_AUC], limits[MIN_TEST_ROWS], limits[MEAN_RATIO]) == (0.95, 200, (0.5, 2.0))
    assert limits.moved == dict.fromkeys(("max_feature_auc", "min_test_rows", "mean_ratio"), "minutes")
    assert limits[MIN_AUC] == MIN_AUC.default


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        (
            {"max_acu": 0.97},
            r"gates.max_acu must be a limit of ml/judging/gates.py; did you mean max_auc\? known are min_test_rows",
        ),
        ({"moved": 0.97}, r"gates.moved must be a limit"),
        ({"mean_ratio": 1.0}, r"mean_ratio.limit must be two numbers, low and high, each from 0 to 10: found 1.0"),
        ({"max_auc": (0.5, 0.9)}, r"max_auc.limit must be a number from 0.5 to 1: found"),
        ({"min_test_rows": 0.5}, r"min_test_rows.limit must be a whole number, at least 1: found 0.5"),
        ({"min_test_rows": 0.0}, r"min_test_rows.limit must be a whole number, at least 1: found 0.0"),
        ({"min_test_rows": inf}, r"min_test_rows.limit must be a whole number"),
        (
            {"max_feature_auc": 95.0},
            r"bank.yml: gates.max_feature_auc.limit must be a number from 0.5 to 1: found 95",
        ),
        ({"max_isolated": -0.1}, r"max_isolated.limit must be a number from 0 to 1: found -0.1"),
        ({"auc_margin": nan}, r"auc_margin.limit must be a number from 0 to 0.5: found nan"),
        ({"mean_ratio": (2.0, 0.5)}, r"mean_ratio.limit must be two numbers, low and high.*: found \(2.0, 0.5\)"),
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
