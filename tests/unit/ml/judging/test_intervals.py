"""Coverage of intervals by hand, on groups whose answer is plain."""

import json

import numpy as np
import pytest

from ml.judging.intervals import IntervalFigures, Intervals, measure_intervals, wilson


def _months(*counts: int) -> np.ndarray:
    return np.repeat(np.array([f"2024-0{number + 1}" for number in range(len(counts))], dtype=object), counts)


def test_a_group_agrees_if_its_interval_meets_what_chance_allows_around_its_rate() -> None:
    """Ten of a hundred defaulted: 0.0552 to 0.1744 by Wilson. One interval ends below that, the other begins in it."""
    defaulted = np.tile(np.arange(100) < 10, 2)
    low, high = np.repeat([0.01, 0.17], 100), np.repeat([0.05, 0.20], 100)
    intervals = Intervals(low, high, np.arange(200) < 20)

    found = measure_intervals(defaulted, (low + high) / 2, intervals, _months(100, 100))

    assert [(each.group, each.n, each.default_rate, each.agrees) for each in found.by_month] == [
        ("2024-01", 100, 0.1, False),
        ("2024-02", 100, 0.1, True),
    ]
    assert (found.by_month[0].rate_low, found.by_month[0].rate_high) == pytest.approx((0.0552, 0.1744), abs=5e-5)
    assert found.mean_width == pytest.approx(0.035)
    assert found.refer_rate == 0.1
    assert found.coverage == 0.5  # equal probabilities share a group: two groups, as the months


def test_loans_whose_probability_ends_its_interval_are_counted_as_widened() -> None:
    low, high = np.array([0.1, 0.1, 0.1, 0.1]), np.array([0.2, 0.2, 0.2, 0.2])

    found = measure_intervals(
        [True, False, False, False], [0.1, 0.15, 0.2, 0.12], Intervals(low, high, low > 1), _months(4)
    )

    assert found.widened_share == 0.5


def test_the_right_probability_is_covered_nineteen_times_in_twenty_or_more() -> None:
    """Intervals of no width at the true probability: what is missed is chance alone, 5 % of the groups by design."""
    random = np.random.default_rng(7)
    probability = random.uniform(0.05, 0.4, 200_000)
    months = np.repeat(np.array([str(number) for number in range(200)], dtype=object), 1000)
    point = Intervals(probability, probability, probability > 1)

    found = measure_intervals(random.random(200_000) < probability, probability, point, months)

    assert np.mean([each.agrees for each in found.by_month]) == pytest.approx(0.955, abs=0.025)


def test_json_carries_the_figures_with_every_group() -> None:
    point = Intervals(np.array([0.1]), np.array([0.3]), np.array([False]))
    found = measure_intervals([True], [0.2], point, _months(1))

    assert IntervalFigures.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(("n_defaults", "n", "ends"), [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0))])
def test_a_rate_of_nothing_or_all_is_no_certainty(n_defaults: int, n: int, ends: tuple[float, float]) -> None:
    """z²/(n + z²) = 3.8415/13.8415 = 0.2775."""
    assert wilson(n_defaults, n) == pytest.approx(ends, abs=5e-5)
