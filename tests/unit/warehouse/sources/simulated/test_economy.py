"""The simulated economy: where its shock lies, and what a longer simulation leaves unchanged."""

import numpy as np

from warehouse.sources.simulated.economy import MONTHS_OF_HISTORY, economy


def test_the_shock_is_the_last_six_months_unless_told_otherwise() -> None:
    world = economy(months=48, shock_ago=6)

    assert [str(month) for month in world.month[world.is_shock]] == [f"2025-{month:02d}" for month in range(7, 13)]


def test_the_shock_may_lie_in_the_past() -> None:
    world = economy(months=48, shock_ago=24)

    assert [str(month) for month in world.month[world.is_shock]] == [f"2024-{month:02d}" for month in range(1, 7)]


def test_the_shock_doubles_the_odds() -> None:
    shocked, calm = economy(months=12, shock_ago=6), economy(months=12, shock_ago=0)

    assert np.exp((shocked.log_odds - calm.log_odds)[-1]).round(2) == 2.01


def test_a_longer_simulation_has_the_same_recent_months() -> None:
    """Otherwise a model trained on a longer history would be judged by another world."""
    short, long = economy(months=12, shock_ago=6), economy(months=48, shock_ago=6)

    np.testing.assert_array_equal(short.log_odds, long.log_odds[-len(short.log_odds) :])


def test_no_application_is_decided_in_the_months_of_history() -> None:
    world = economy(months=12, shock_ago=6)

    assert world.volume[:MONTHS_OF_HISTORY].sum() == 0
    assert world.volume.sum().round(12) == 1
