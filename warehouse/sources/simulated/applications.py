"""Applications: their time and purpose, and the data that the lender has at that moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.sources.simulated.accounts import Accounts
from warehouse.sources.simulated.borrowers import HOMES, REGIONS, Borrowers, Floats
from warehouse.sources.simulated.economy import Economy

PURPOSES = np.array(
    ["debt_consolidation", "car", "home_improvement", "medical", "educational", "small_business", "other"]
)
_PURPOSE_SHARES = np.array([0.34, 0.17, 0.15, 0.09, 0.08, 0.09, 0.08])
_SHOCK_PURPOSE_SHARES = np.array([0.44, 0.09, 0.08, 0.16, 0.05, 0.10, 0.08])
_PURPOSE_SIZES = np.array([1.0, 1.15, 1.1, 0.55, 0.8, 1.5, 0.6])
TERMS = np.array([6, 12, 18, 24])
SMALL_BUSINESS = 5


@dataclass(frozen=True)
class Applications:
    """One value an application, ordered by borrower and time, before any value is made missing.

    ``borrower``, ``month``: indices. ``utilisation``: of all revolving accounts. ``max_past_due_3m``: of the card.
    """

    borrower: NDArray[np.int64]
    month: NDArray[np.int64]
    decided_at: NDArray[np.datetime64]
    requested_amount: Floats
    term_months: NDArray[np.int64]
    annual_rate: Floats
    purpose: NDArray[np.int64]
    annual_income: Floats
    income_verified: NDArray[np.bool_]
    employment_years: Floats
    debt_to_income: Floats
    bureau_score: Floats
    n_open_accounts: NDArray[np.int64]
    n_total_accounts: NDArray[np.int64]
    n_inquiries_6m: NDArray[np.int64]
    n_delinquencies_2y: NDArray[np.int64]
    n_public_records: NDArray[np.int64]
    utilisation: Floats
    revolving_balance: Floats
    max_past_due_3m: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.borrower)


def draw_times(
    rng: np.random.Generator, economy: Economy, borrowers: Borrowers, n_applications: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.datetime64]]:
    """Borrower, month and moment of each application, in order; less creditworthy borrowers repeat more often."""
    n_borrowers = len(borrowers)
    weights = np.exp(-0.25 * borrowers.creditworthiness)
    again = rng.choice(n_borrowers, n_applications - n_borrowers, p=weights / weights.sum())
    borrower = np.concatenate([np.arange(n_borrowers), again])
    month = np.searchsorted(np.cumsum(economy.volume), rng.random(n_applications), side="right")
    month = np.minimum(month, len(economy.month) - 1)
    first = economy.month[month].astype("datetime64[s]")
    last = (economy.month[month] + 1).astype("datetime64[D]") - economy.month[month].astype("datetime64[D]")
    day = (rng.random(n_applications) * last.astype(np.int64)).astype(np.int64)
    decided_at = first + day * 86_400 + rng.integers(8 * 3600, 20 * 3600, n_applications)
    order = np.lexsort((decided_at, borrower))
    return borrower[order], month[order], decided_at[order]


def draw_applications(
    rng: np.random.Generator,
    economy: Economy,
    borrowers: Borrowers,
    accounts: Accounts,
    times: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.datetime64]],
) -> Applications:
    """The amount and data of each application; the lender's rate depends on bureau score, burden and term."""
    borrower, month, decided_at = times
    n, is_shock = len(borrower), economy.is_shock[month]
    worth, stress = borrowers.creditworthiness[borrower], borrowers.stress[borrower, month]
    income = borrowers.annual_income[borrower] * economy.price_level[month] * np.exp(rng.normal(0, 0.06, n))
    purpose = np.where(
        is_shock,
        rng.choice(len(PURPOSES), n, p=_SHOCK_PURPOSE_SHARES),
        rng.choice(len(PURPOSES), n, p=_PURPOSE_SHARES),
    )
    ago = economy.ago[month]
    # most loans are short, so that most labels mature within the simulation; longer ones slowly gain share
    term = TERMS[np.searchsorted([0.44, 0.74, 0.91], rng.random(n) - 0.002 * ago)]
    asked = income * _PURPOSE_SIZES[purpose] * np.exp(rng.normal(-1.75, 0.5, n) - 0.08 * worth) * (term / 15) ** 0.6
    requested = np.clip(np.round(asked * np.where(is_shock, 1.15, 1.0), -2), 500, 60_000)

    card = accounts.utilisation[borrower, month]
    utilisation = np.clip(0.6 * card + 0.4 * rng.beta(1.6, 2.2, n) + 0.03 * stress, 0, 1.3)
    burden = np.exp(rng.normal(-1.35, 0.4, n) - 0.12 * worth + 0.14 * stress + 0.35 * utilisation)
    debt_to_income = np.clip(burden * np.where(is_shock, 1.1, 1.0), 0, 2.5)
    before = np.maximum(month[:, None] - np.array([1, 2, 3]), 0)
    open_accounts = 1 + rng.poisson(np.exp(1.55 + 0.08 * worth))
    # scores rise over the years while the risk does not fall
    score = 684 + 46 * worth - 13 * stress - 55 * (utilisation - 0.4) - 0.25 * ago + rng.normal(0, 38, n)
    score = np.clip(np.round(score), 300, 850)
    own_view = -(score - 680) / 60 + 1.4 * (debt_to_income - 0.3) + 0.25 * (term - 12) / 6 + rng.normal(0, 0.7, n)
    return Applications(
        borrower=borrower,
        month=month,
        decided_at=decided_at,
        requested_amount=requested,
        term_months=term,
        annual_rate=np.round(np.clip(0.055 + 0.21 / (1 + np.exp(0.3 - 0.55 * own_view)), 0.04, 0.36), 4),
        purpose=purpose,
        annual_income=np.round(income, -1),
        income_verified=rng.random(n) < np.where(requested > 8_000, 0.75, 0.45),
        employment_years=np.round(rng.gamma(1.3, 4.0 + 0.8 * np.clip(worth, -2, 2), n), 1),
        debt_to_income=np.round(debt_to_income, 4),
        bureau_score=score,
        n_open_accounts=open_accounts,
        n_total_accounts=open_accounts + rng.poisson(8, n),
        n_inquiries_6m=rng.poisson(np.exp(-0.55 - 0.18 * worth + 0.3 * stress + 0.35 * is_shock)),
        n_delinquencies_2y=rng.poisson(np.exp(-1.7 - 0.55 * worth + 0.25 * stress)),
        n_public_records=rng.poisson(np.exp(-3.0 - 0.5 * worth)),
        utilisation=np.round(utilisation, 4),
        revolving_balance=np.round(utilisation * accounts.credit_limit[borrower, month] * (1 + open_accounts / 4), 0),
        max_past_due_3m=accounts.months_past_due[borrower[:, None], before].max(axis=1),
    )


def application_columns(
    rng: np.random.Generator,
    applications: Applications,
    borrowers: Borrowers,
    *,
    application_ids: NDArray[np.str_],
    borrower_ids: NDArray[np.str_],
) -> dict[str, NDArray[np.generic]]:
    """The applications' values and file columns, with some values missing (NaN), more for thin files."""
    n, who = len(applications), applications.borrower
    unknown_to_bureau = np.where(applications.n_total_accounts < 8, 0.12, 0.02)

    def some_missing(values: Floats, share: float | Floats) -> Floats:
        return np.where(rng.random(n) < share, np.nan, values)

    return vars(applications) | {
        "application_id": application_ids,
        "borrower_id": borrower_ids[who],
        "purpose": PURPOSES[applications.purpose],
        "region": REGIONS[borrowers.region[who]],
        "annual_income": some_missing(applications.annual_income, 0.02),
        "employment_years": some_missing(applications.employment_years, 0.04),
        "home_ownership": HOMES[borrowers.home[who]],
        "debt_to_income": some_missing(applications.debt_to_income, 0.015),
        "bureau_score": some_missing(applications.bureau_score, unknown_to_bureau),
        "revolving_utilisation": some_missing(applications.utilisation, 0.01),
        "oldest_account_on": borrowers.oldest_account_on[who],
    }
