"""What a person writes as a setting is read, or refused with what is required and what was found."""

from typing import Any

import pytest

from ml.families.catalogue import family_of
from ml.families.settings import configured
from ml.families.tree_based.boosted_trees import GradientBoosting
from warehouse.errors import SettingError


def test_what_is_not_given_has_its_default() -> None:
    assert configured(GradientBoosting, {"max_depth": 2, "threads": None}, "--setting ") == GradientBoosting(
        max_depth=2, threads=None
    )


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("xgboost", {"max_depth": "deep"}, "--setting max_depth must be a whole number: found 'deep'"),
        ("xgboost", {"threads": "all"}, "--setting threads must be a whole number or null: found 'all'"),
        ("xgboost", {"max_trees": 10**30}, "--setting max_trees must be a number of at most 2,147,483,647: found 1000"),
        ("logistic", {"l2": "much"}, "--setting l2 must be a number: found 'much'"),
        ("ensemble", {"method": "median"}, "--setting method must be one of mean, stacking: found 'median'"),
        ("ensemble", {"members": "xgboost"}, r"--setting members must be a list such as \[xgboost, logistic\]"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_plain_words(family: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        configured(family_of(family), given, "--setting ")


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("scorecard", {"max_bins": 1}, "^--setting max_bins must be within 2 and 50: found 1$"),
        ("tab_transformer", {"width": 33}, "^--setting width must be a multiple of n_heads, 4: found 33$"),
        ("ensemble", {"members": ["forest"]}, "^--setting: a member of an ensemble must be one of xgboost, "),
    ],
)
def test_a_value_beyond_a_limit_is_refused_where_it_was_written(
    family: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        configured(family_of(family), given, "--setting ")


def test_a_limit_that_depends_on_another_setting_is_judged_with_it() -> None:
    """A width of 40 is a multiple of 5 heads; 5 heads alone do not divide the default width."""
    found = configured(family_of("tab_transformer"), {"n_heads": 5, "width": 40}, "--setting ")

    assert (getattr(found, "n_heads", None), getattr(found, "width", None)) == (5, 40)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("setting", ["l2", "cut"])
def test_a_number_that_is_not_finite_is_refused(setting: str, value: float) -> None:
    """NaN passed every bound: a model of AUC .5 was trained and registered."""
    with pytest.raises(SettingError, match=f"--setting {setting} must be a finite number: found"):
        configured(family_of("logistic"), {setting: value}, "--setting ")
