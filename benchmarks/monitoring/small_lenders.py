"""How often months of few decisions raise an alarm of the estimated default rate, quiet ones and those of the shock.

``python -m benchmarks.monitoring.small_lenders``; needs no home. Each simulated lender trains boosted trees on what an
application says, of as many applications a month as its size, and takes six later months as labelled reference. Its six
quiet months and the shock's are then drawn from 100,000 applicants of the same economy, many times: what is counted is
the rule's work, and not the luck of one draw. It is not one of ``make bench``: it measures errors, not speed.
"""

import sys
from collections.abc import Sequence
from datetime import date

import numpy as np
import xgboost
from numpy.typing import NDArray

from ml.estimates.estimate import Estimator, Floats, LabelledReference
from ml.estimates.pooling import pooled_months
from ml.monitoring.limits import EstimateRule
from warehouse.sources.simulated.accounts import draw_accounts
from warehouse.sources.simulated.applications import draw_applications, draw_times
from warehouse.sources.simulated.borrowers import draw_borrowers
from warehouse.sources.simulated.economy import economy
from warehouse.sources.simulated.outcomes import default_log_odds, draw_defaults

SIZES, N_LENDERS, N_DRAWS, N_APPLICANTS = (200, 300, 570, 1_000), 12, 60, 100_000
#: Months before the last: the last six are the shock's, the six before them quiet, then the reference and training.
N_MONTHS, SHOCK, QUIET, REFERENCE = 48, range(6), range(6, 12), range(12, 18)
_FEATURES = (
    *("requested_amount", "term_months", "annual_rate", "purpose", "annual_income", "employment_years"),
    *("debt_to_income", "bureau_score", "n_inquiries_6m", "n_public_records", "utilisation", "max_past_due_3m"),
)
_PARAMETERS = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.1, "min_child_weight": 10, "nthread": 1}
RULE = EstimateRule()


def main() -> int:
    """Print a line for each size and rule."""
    everyone = _applicants(N_APPLICANTS, seed=1)
    for size in SIZES:
        found = np.concatenate([_lender(size, seed, everyone) for seed in range(2, 2 + N_LENDERS)])
        for place, name in enumerate(("a month alone, 1 in 40", "the rule")):
            alarms = found[:, place]
            quiet, shock = alarms[:, : len(QUIET)], alarms[:, len(QUIET) :]
            # the first two quiet months have fewer months before them than a later one has
            share = quiet[:, 2:].mean()
            later = shock[:, 2:].mean()
            seen = ", ".join(f"{shock[:, :n].any(axis=1).mean():.0%} by month {n}" for n in (1, 2, 3))
            print(
                f"{size:>5} a month, {name:<22}: {share:.1%} of quiet months; shock seen in {seen}, "
                f"in {later:.0%} of its months from the third on",
                flush=True,
            )
    return 0


def _lender(size: int, seed: int, everyone: tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]) -> Floats:
    """Alarms of each draw: shape (draws, 2 rules, months), quiet months first, oldest first."""
    features, ago, defaulted = _applicants(round(size * N_MONTHS * 0.85), seed=seed)
    is_reference, is_training = np.isin(ago, REFERENCE), ago > max(REFERENCE)
    matrix = xgboost.DMatrix(features[is_training], label=defaulted[is_training])
    trees = xgboost.train({**_PARAMETERS, "seed": seed}, matrix, 60)
    probability = trees.inplace_predict(features[is_reference]).astype(np.float64)
    reference = LabelledReference(features[is_reference], probability, defaulted[is_reference], probability)
    estimator, generator = Estimator(reference, cut_off=0.2, seed=seed), np.random.default_rng(seed)
    scores = trees.inplace_predict(everyone[0]).astype(np.float64)
    pools = [scores[everyone[1] == month] for month in (*reversed(QUIET), *reversed(SHOCK))]
    return np.array([_draw(estimator, pools, size, generator) for _ in range(N_DRAWS)])


def _draw(
    estimator: Estimator, pools: Sequence[Floats], size: int, generator: np.random.Generator
) -> tuple[list[bool], list[bool]]:
    drawn = [generator.choice(pool, size, replace=False) for pool in pools]
    sizes = [(date(2025, number, 1), size) for number in range(1, len(drawn) + 1)]
    alone, by_rule = [], []
    for place, month in enumerate(drawn):
        n = len(pooled_months(sizes[: place + 1], RULE))
        is_large = size >= RULE.min_decisions
        looks = [(month, RULE.standard_errors_alone if n > 1 else None)] if is_large else []
        if n > 1:
            together = np.concatenate(drawn[place + 1 - n : place + 1])
            looks.append((together, RULE.standard_errors_pooled if is_large else None))
        alone.append(is_large and _is_alarm(estimator, month, None))
        by_rule.append(any(_is_alarm(estimator, look, n_errors) for look, n_errors in looks))
    return alone, by_rule


def _is_alarm(estimator: Estimator, probability: Floats, n_errors: float | None) -> bool:
    rate = float(estimator.unweighted.line.chances(probability)[0].mean())
    expected, error = estimator.rate_of_applicants(probability)
    verdict = RULE.judge_default_rate(rate, expected=expected, standard_error=error, n_errors=n_errors)
    return verdict.is_alarm


def _applicants(n: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Features, months before the last, and defaults of a lender's applications."""
    world, generator = economy(months=N_MONTHS, shock_ago=len(SHOCK)), np.random.default_rng(seed)
    borrowers = draw_borrowers(generator, world, round(n / 1.6))
    accounts = draw_accounts(generator, world, borrowers)
    found = draw_applications(generator, world, borrowers, accounts, draw_times(generator, world, borrowers, n))
    _, defaulted = draw_defaults(generator, default_log_odds(world, borrowers, found), found)
    features = np.column_stack([np.asarray(getattr(found, name), dtype=np.float32) for name in _FEATURES])
    return features, np.asarray(world.ago[found.month]), np.asarray(defaulted, dtype=np.bool_)


if __name__ == "__main__":
    sys.exit(main())
