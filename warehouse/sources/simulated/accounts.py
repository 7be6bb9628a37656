"""Each borrower's card account by month: utilisation, payments and months past due."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.sources.simulated.borrowers import Borrowers, Floats
from warehouse.sources.simulated.economy import Economy

_LONGEST_PAST_DUE = 6
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Accounts:
    """Arrays (n_borrowers, n_months) for all months; :func:`statements` selects those with a statement."""

    credit_limit: Floats
    utilisation: Floats
    paid_amount: Floats
    months_past_due: NDArray[np.int64]


def draw_accounts(rng: np.random.Generator, economy: Economy, borrowers: Borrowers) -> Accounts:
    """Simulate every account and month: utilisation depends on stress, missed payments on both."""
    worth, stress = borrowers.creditworthiness[:, None], borrowers.stress
    shape = stress.shape
    share_of_income = np.exp(rng.normal(-1.9, 0.45, (shape[0], 1)) + 0.18 * worth)
    raised = np.where(np.arange(shape[1]) >= rng.integers(0, 2 * shape[1], (shape[0], 1)), 1.25, 1.0)
    credit_limit = np.maximum(np.round(borrowers.annual_income[:, None] * share_of_income * raised, -2), 500.0)
    appetite = rng.normal(-0.55, 0.8, (shape[0], 1))
    fullness = appetite - 0.45 * worth + 0.65 * stress + 0.3 * economy.log_odds + rng.normal(0, 0.25, shape)
    utilisation = np.minimum(1.04 / (1 + np.exp(-fullness)), 1.02)

    months_past_due = np.zeros(shape, dtype=np.int64)
    missing = 1 / (1 + np.exp(3.7 + 0.75 * worth - 0.9 * stress - 0.8 * economy.log_odds - 1.2 * (utilisation - 0.4)))
    chance, catches_up = rng.random(shape), rng.random(shape) < 0.7
    is_missed = chance < missing
    for month in range(1, shape[1]):
        before = months_past_due[:, month - 1]
        # a borrower already behind misses again more often than not; others may pay only the current month
        missed = is_missed[:, month] | ((before > 0) & (chance[:, month] < 0.35 + 0.1 * (missing[:, month] > 0.06)))
        months_past_due[:, month] = np.where(
            missed, np.minimum(before + 1, _LONGEST_PAST_DUE), np.where(catches_up[:, month], 0, before)
        )
        is_missed[:, month] = missed

    pays_in_full = rng.random(shape) < 1 / (1 + np.exp(0.6 - 0.8 * worth + 0.5 * stress))
    share_paid = np.where(pays_in_full, 1.0, 0.03 + 0.22 * rng.beta(1.2, 4.0, shape))
    paid_amount = np.where(is_missed, 0.0, credit_limit * utilisation * share_paid)
    return Accounts(credit_limit, utilisation, paid_amount, months_past_due)


def statements(
    rng: np.random.Generator,
    economy: Economy,
    accounts: Accounts,
    *,
    opens_in: NDArray[np.int64],
    borrower_ids: NDArray[np.str_],
) -> dict[str, NDArray[np.generic]]:
    """The statements of accounts from the month they open (an index into ``economy.month``), as file columns.

    A statement is known one to five days after its date; three in a hundred come two to nine weeks later still. Those
    not known by the end of the simulation are omitted.
    """
    n_borrowers, n_months = accounts.utilisation.shape
    closes_in = np.where(rng.random(n_borrowers) < 0.05, rng.integers(n_months // 2, n_months, n_borrowers), n_months)
    months = np.arange(n_months)
    borrower, month = np.nonzero((months >= opens_in[:, None]) & (months < np.maximum(closes_in, opens_in)[:, None]))
    days = rng.integers(0, 28, n_borrowers)
    statement_on = economy.month[month].astype("datetime64[D]") + np.take(days, borrower)
    late_days = np.where(rng.random(len(month)) < 0.03, rng.integers(14, 64, len(month)), 0)
    seconds = rng.integers(_SECONDS_A_DAY, 5 * _SECONDS_A_DAY, len(month)) + late_days * _SECONDS_A_DAY
    known_at = statement_on.astype("datetime64[s]") + seconds

    is_known = known_at < economy.ends_at
    borrower, month = borrower[is_known], month[is_known]
    limit = accounts.credit_limit[borrower, month]
    paid = np.round(accounts.paid_amount[borrower, month], 2)
    paid[rng.random(len(paid)) < 0.01] = np.nan
    return {
        "borrower_id": borrower_ids[borrower],
        "statement_on": statement_on[is_known],
        "known_at": known_at[is_known],
        "credit_limit": limit,
        "balance": np.round(limit * accounts.utilisation[borrower, month], 2),
        "paid_amount": paid,
        "months_past_due": accounts.months_past_due[borrower, month],
    }
