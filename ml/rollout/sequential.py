"""Intervals that hold at every look: whoever peeks after each decision errs no more often than who looks once.

Asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory
and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem 2.2 with the tuning of appendix B.2.
"""

from math import log, sqrt


def half_width(variance: float, n: int, *, alpha: float, tuned_for: int) -> float:
    """Half the width of the interval around an estimate from ``n`` observations so far.

    ``variance``: of the estimate, about s²/n. ``alpha``: the chance that the truth is ever outside, over all looks.
    ``tuned_for``: the number of observations at which the interval is to be narrowest for what it promises. It is about
    half as wide again as the interval for a single look.
    """
    rho_squared = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / tuned_for
    mixed = n * rho_squared + 1
    return sqrt(variance * n) * sqrt(2 * mixed / (n * n * rho_squared) * log(sqrt(mixed) / alpha))
