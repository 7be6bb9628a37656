"""The outcome of each loan: true default probability, a draw from it, and the time when the draw is known."""

import numpy as np
from numpy.typing import NDArray

from warehouse.sources.simulated.applications import SMALL_BUSINESS, Applications
from warehouse.sources.simulated.borrowers import HOMES, REGIONS, Borrowers, Floats
from warehouse.sources.simulated.economy import Economy

_HIT_HARDEST = np.isin(REGIONS, ["coast", "islands"])
_OWNS_NO_HOME = np.isin(HOMES, ["rent", "other"])


def default_log_odds(economy: Economy, borrowers: Borrowers, applications: Applications) -> Floats:
    """Log-odds of default of every application, without the effect of the borrower's own earlier default.

    Creditworthiness and stress are partly unobservable, so no model reaches the truth. The observable part has steps
    and interactions that a model linear in the same features cannot fit.
    """
    who, a = applications.borrower, applications
    loan_to_income = a.requested_amount / np.maximum(a.annual_income, 1.0)
    account_years = (a.decided_at.astype("datetime64[D]") - borrowers.oldest_account_on[who]).astype(np.int64) / 365.25
    is_stretched = (a.debt_to_income > 0.35) & (a.utilisation > 0.45)
    is_new_in_job = a.employment_years < 2.0
    log_odds: Floats = (
        -3.05
        - 0.30 * borrowers.creditworthiness[who]
        + 0.20 * borrowers.stress[who, a.month]
        + economy.log_odds[a.month]
        + 0.5 * (economy.is_shock[a.month] & _HIT_HARDEST[borrowers.region[who]])
        + 0.5 * (a.max_past_due_3m >= 1)
        + 0.4 * (a.max_past_due_3m >= 3)
        + 1.1 * is_stretched
        + 1.1 * ((loan_to_income > 0.25) & (a.annual_income < 40_000))
        + 0.4 * (is_new_in_job & _OWNS_NO_HOME[borrowers.home[who]])
        + 1.2 * (is_new_in_job & (a.purpose == SMALL_BUSINESS))
        + 0.25 * np.minimum(a.n_inquiries_6m, 3) * (account_years < 8.0)
        + 0.2 * (a.term_months - 12) / 6 * is_stretched
        + 0.4 * (a.n_public_records > 0)
    )
    return log_odds


def draw_defaults(
    rng: np.random.Generator, log_odds: Floats, applications: Applications
) -> tuple[Floats, NDArray[np.bool_]]:
    """Each true default probability and a Bernoulli draw; a default on the loan before adds 0.8 to the log-odds."""
    is_again = np.concatenate([[False], applications.borrower[1:] == applications.borrower[:-1]])
    draws = rng.random(len(log_odds))
    p_default = 1 / (1 + np.exp(-log_odds))
    is_default = draws < p_default
    # a borrower's applications form a chain: every pass settles those whose predecessor is settled
    while True:
        burdened = is_again & np.concatenate([[False], is_default[:-1]])
        p_default = 1 / (1 + np.exp(-(log_odds + 0.8 * burdened)))
        settled = draws < p_default
        if np.array_equal(settled, is_default):
            return p_default, is_default
        is_default = settled


def outcome_columns(
    rng: np.random.Generator,
    economy: Economy,
    applications: Applications,
    is_default: NDArray[np.bool_],
    *,
    application_ids: NDArray[np.str_],
) -> dict[str, NDArray[np.generic]]:
    """Outcomes known by the end: a default after two to four months, a repayment within ten days; 30 % repay early."""
    n, term_days = len(is_default), applications.term_months * 30.4375
    lived = np.where(is_default, 30 + rng.beta(1.4, 2.2, n) * (term_days - 30), term_days)
    early = (rng.random(n) < 0.3) & ~is_default
    lived = np.where(early, term_days * rng.uniform(0.3, 1.0, n), lived)
    outcome_at = (applications.decided_at.astype("datetime64[D]") + lived.astype(np.int64)).astype("datetime64[s]")
    lag_days = np.where(is_default, rng.uniform(60, 120, n), rng.uniform(1, 10, n))
    known_at = outcome_at + (lag_days * 86_400).astype(np.int64)
    outstanding = 1 - np.minimum(lived / term_days, 1.0)
    loss = applications.requested_amount * np.maximum(outstanding, 0.05) * rng.uniform(0.45, 0.95, n)

    is_known = known_at < economy.ends_at
    return {
        "application_id": application_ids[is_known],
        "is_default": is_default[is_known],
        "outcome_at": outcome_at[is_known],
        "known_at": known_at[is_known],
        "loss_amount": np.round(np.where(is_default, loss, 0.0), 2)[is_known],
    }
