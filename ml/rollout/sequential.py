"""Intervals that hold at every look: peeking after each decision adds no errors.

Asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory
and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem 2.2 with the tuning of appendix B.2.
"""

from math import log, sqrt


def half_width(variance: float, n: int, *, alpha: float, tuned_for: int) -> float:
    """Half the width of the interval around an estimate from ``n`` observations.

    ``variance``: of the estimate, about s²/n. ``alpha``: probability that the truth is ever outside, over all looks.
    ``tuned_for``: number of observations with the narrowest interval, about 1.5 times that of a single look.
    """
    rho_squared = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / tuned_for
    mixed = n * rho_squared + 1
    return sqrt(variance * n) * sqrt(2 * mixed / (n * n * rho_squared) * log(sqrt(mixed) / alpha))
