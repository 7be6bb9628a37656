"""An interval that is looked at again and again must miss the truth no more often than it says."""

import numpy as np

from ml.rollout.canary_evidence import half_width

ALPHA = 0.05
LOOKS = range(100, 4001, 50)


def test_looking_often_misses_the_truth_no_more_often_than_promised():
    """The interval for a single look misses it in far more than a twentieth of the runs when looked at 79 times."""
    draws = np.random.default_rng(7).exponential(size=(400, LOOKS[-1])) - 1.0
    ever_outside = ever_outside_one_look = 0
    for run in draws:
        means = np.cumsum(run)[np.array(LOOKS) - 1] / np.array(LOOKS)
        variances = [run[:n].var(ddof=1) / n for n in LOOKS]
        widths = [half_width(v, n, alpha=ALPHA, tuned_for=1000) for v, n in zip(variances, LOOKS, strict=True)]
        ever_outside += bool((np.abs(means) > widths).any())
        ever_outside_one_look += bool((np.abs(means) > 1.96 * np.sqrt(variances)).any())

    assert ever_outside / len(draws) <= ALPHA
    assert ever_outside_one_look / len(draws) > 0.2


def test_what_it_costs_is_an_interval_about_half_as_wide_again():
    one_look = 1.96 * (1 / 1000) ** 0.5

    assert 1.3 < half_width(1 / 1000, 1000, alpha=ALPHA, tuned_for=1000) / one_look < 1.7
