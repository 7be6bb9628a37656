"""What a search may vary, around the lender's own settings."""

from dataclasses import fields, replace

import pytest

from ml.families.catalogue import family_of
from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Family
from ml.search.space import HALVINGS, LEFT_OUT, space_of
from tests.model_factory import FAMILIES, SETTINGS

LINE = replace(SETTINGS, model=LogisticRegression(), exclude=("annual_rate",))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_declares_its_own_settings_with_its_defaults_inside(name: str) -> None:
    family = family_of(name)
    default: Family = family()

    assert family.space
    for each in family.space:
        assert each.name in {field.name for field in fields(default)}  # type: ignore[arg-type]  # each is a dataclass
        assert each.low <= getattr(default, each.name) <= each.high


def test_the_present_settings_are_a_point_of_the_space_to_the_bit() -> None:
    base = replace(LINE, half_life_months=7.1, model=LogisticRegression(l2=123.4567))
    space = space_of(base, n_features=8, is_dated=True)

    assert space.settings(space.default, ["a", "b"]) == base


def test_the_space_reaches_to_settings_of_a_lender_outside_it() -> None:
    space = space_of(replace(LINE, model=LogisticRegression(l2=50_000.0, cut=0.0)), n_features=8, is_dated=True)

    of = {each.name: each for each in space.dimensions}
    assert of["l2"].high == 50_000
    assert (of["cut"].low, of["cut"].is_log) == (0.0, False)


def test_values_become_settings_with_the_least_important_features_left_out() -> None:
    space = space_of(LINE, n_features=8, is_dated=True)

    settings = space.settings({"l2": 3.141592, "cut": 0.01, LEFT_OUT: 2, HALVINGS: 0.5}, ["noise", "colour", "income"])

    assert settings.model == LogisticRegression(l2=3.142, cut=0.01)
    assert settings.exclude == ("annual_rate", "colour", "noise")
    assert settings.half_life_months == 24.0


def test_loans_without_times_have_no_newer_ones() -> None:
    assert HALVINGS not in {each.name for each in space_of(LINE, n_features=8, is_dated=False).dimensions}
