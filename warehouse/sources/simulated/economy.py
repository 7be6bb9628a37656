"""The simulated economy: a slow drift of default odds and prices, and one shock in known months."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LAST_MONTH = np.datetime64("2025-12", "M")
#: Statements begin this long before the first application, so that first applicants have a history.
MONTHS_OF_HISTORY = 12
SHOCK_MONTHS = 6


@dataclass(frozen=True)
class Economy:
    """One value a month, including the history before the first application; ``ago``: months before the last.

    ``log_odds``: added to those of default. ``price_level``: 1.0 in the last month. ``volume``: share of applications.
    """

    month: NDArray[np.datetime64]
    ago: NDArray[np.int64]
    log_odds: NDArray[np.float64]
    price_level: NDArray[np.float64]
    volume: NDArray[np.float64]
    is_shock: NDArray[np.bool_]

    @property
    def ends_at(self) -> np.datetime64:
        """The first moment after the simulation: nothing known from then on is written."""
        return np.datetime64((LAST_MONTH + 1).astype("datetime64[s]"))


def economy(*, months: int, shock_ago: int) -> Economy:
    """``months`` to 2025-12. Drift and cycle follow the calendar; longer simulations have the same recent months."""
    ago = np.arange(MONTHS_OF_HISTORY + months - 1, -1, -1)
    is_shock = (ago < shock_ago) & (ago >= shock_ago - SHOCK_MONTHS)
    volume = np.where(ago < months, 0.992**ago * np.where(is_shock, 1.15, 1.0), 0.0)
    return Economy(
        month=LAST_MONTH - ago,
        ago=ago,
        # a five-year cycle, a slow worsening of 0.04 a year, and odds doubled by the shock
        log_odds=0.10 * np.sin(2 * np.pi * ago / 60) - 0.04 * ago / 12 + np.where(is_shock, 0.7, 0.0),
        price_level=1.0025 ** -ago.astype(np.float64),
        volume=volume / volume.sum(),
        is_shock=is_shock,
    )
