"""Truth and its draws."""

from dataclasses import replace

import numpy as np
import pytest

from warehouse.sources.simulated.accounts import draw_accounts
from warehouse.sources.simulated.applications import Applications, draw_applications, draw_times
from warehouse.sources.simulated.borrowers import draw_borrowers
from warehouse.sources.simulated.economy import economy
from warehouse.sources.simulated.outcomes import draw_defaults


@pytest.fixture
def applications() -> Applications:
    rng, world = np.random.default_rng(1), economy(months=12, shock_ago=0)
    borrowers = draw_borrowers(rng, world, 5)
    times = draw_times(rng, world, borrowers, 8)
    return draw_applications(rng, world, borrowers, draw_accounts(rng, world, borrowers), times)


def test_a_default_makes_the_borrowers_next_loan_riskier(applications: Applications) -> None:
    """Log-odds 0 give 0.5; after a default on the loan before, 1 / (1 + exp(-0.8)) = 0.690."""
    one_borrower = replace(applications, borrower=np.zeros(8, dtype=np.int64))

    p_default, is_default = draw_defaults(np.random.default_rng(5), np.zeros(8), one_borrower)

    expected = [0.5, *(0.690 if defaulted else 0.5 for defaulted in is_default[:-1])]
    assert 0 < is_default[:-1].sum() < 7
    np.testing.assert_allclose(p_default, expected, atol=5e-4)


def test_another_borrowers_default_changes_nothing(applications: Applications) -> None:
    strangers = replace(applications, borrower=np.arange(8))

    p_default, _ = draw_defaults(np.random.default_rng(5), np.zeros(8), strangers)

    np.testing.assert_array_equal(p_default, np.full(8, 0.5))
