"""Borrowers: unobserved creditworthiness, and circumstances that correlate with it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.sources.simulated.economy import LAST_MONTH, Economy

Floats = NDArray[np.float64]

REGIONS = np.array(["north", "east", "south", "west", "coast", "highlands", "islands", "capital"])
REGION_SHARES = np.array([0.16, 0.14, 0.15, 0.13, 0.12, 0.08, 0.05, 0.17])
EDUCATIONS = np.array(["secondary", "vocational", "bachelor", "master"])
HOMES = np.array(["rent", "mortgage", "own", "other"])


@dataclass(frozen=True)
class Borrowers:
    """One value a borrower, except ``stress``: (n_borrowers, n_months).

    ``creditworthiness``: standard normal, constant. ``stress``: standard normal, varies by month. Neither is ever
    written to a file. ``annual_income``: in prices of the last month.
    """

    creditworthiness: Floats
    stress: Floats
    annual_income: Floats
    birth_year: NDArray[np.int64]
    oldest_account_on: NDArray[np.datetime64]
    region: NDArray[np.int64]
    home: NDArray[np.int64]
    education: NDArray[np.int64]
    is_female: NDArray[np.bool_]
    is_married: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.creditworthiness)


def draw_borrowers(rng: np.random.Generator, economy: Economy, n_borrowers: int) -> Borrowers:
    """Draw ``n_borrowers``; demographics correlate mildly with income, and income with creditworthiness."""
    creditworthiness = rng.standard_normal(n_borrowers)
    education = np.searchsorted([-0.6, 0.3, 1.3], 0.25 * creditworthiness + rng.normal(0, 0.97, n_borrowers))
    age = np.clip(20 + rng.gamma(3.2, 7.0, n_borrowers), 20, 80)
    is_female = rng.random(n_borrowers) < 0.49
    log_income = (
        10.35
        + 0.16 * education
        + 0.14 * creditworthiness
        - 0.09 * is_female
        + 0.012 * np.minimum(age - 20, 25)
        + rng.normal(0, 0.38, n_borrowers)
    )
    account_age = np.clip((age - 19) * rng.beta(3.0, 1.6, n_borrowers) + 0.4 * creditworthiness, 0.3, 55)
    owns = 0.03 * (age - 40) + 0.8 * (log_income - 10.7) + rng.logistic(0, 0.8, n_borrowers)
    return Borrowers(
        creditworthiness=creditworthiness,
        stress=_stress(rng, n_borrowers, len(economy.month)),
        annual_income=np.exp(log_income),
        birth_year=2025 - age.astype(np.int64),
        oldest_account_on=LAST_MONTH.astype("datetime64[D]") - (account_age * 365.25).astype(np.int64),
        region=rng.choice(len(REGIONS), n_borrowers, p=REGION_SHARES),
        home=np.where(rng.random(n_borrowers) < 0.04, 3, np.searchsorted([-0.1, 1.3], owns)),
        education=education,
        is_female=is_female,
        is_married=rng.random(n_borrowers) < 1 / (1 + np.exp(-(age - 33) / 8)),
    )


def _stress(rng: np.random.Generator, n_borrowers: int, n_months: int) -> Floats:
    """A monthly standard normal with autocorrelation 0.85: job losses, illness, recoveries."""
    stress = rng.standard_normal((n_borrowers, n_months))
    for month in range(1, n_months):
        stress[:, month] = 0.85 * stress[:, month - 1] + np.sqrt(1 - 0.85**2) * stress[:, month]
    return stress
