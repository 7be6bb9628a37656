"""A training set without a lake: the small lender's contract, risks known, in milliseconds."""

from datetime import datetime
from functools import cache

import numpy as np
import pandas as pd

from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.training.fitting import Candidate, TrainingSettings, train
from ml.training.training_set import TrainingSet
from tests.model_factory import CONTRACT, PURPOSES, SOURCE

SETTINGS = TrainingSettings(model=GradientBoosting(max_trees=60, learning_rate=0.1, max_depth=3, patience=15))
N_MONTHS = 20


def small_training_set(n: int = 6000, *, seed: int = 1) -> TrainingSet:
    """Twenty months from January 2020: twelve of train, four of tune, four of test; a fifth of the loans default."""
    random = np.random.default_rng(seed)
    month = np.arange(n) * N_MONTHS // n
    frame = pd.DataFrame(
        {
            "application_id": [f"sim-{number:06d}" for number in range(n)],
            "borrower_id": [f"sim-b{number:06d}" for number in range(n)],
            "source": SOURCE,
            "decided_at": [datetime(2020 + index // 12, index % 12 + 1, 15) for index in month],
            "split": pd.Categorical(np.select([month < 12, month < 16], ["train", "tune"], "test")),
            "requested_amount": random.lognormal(9, 0.7, n).round(2),
            "loan_to_income": random.lognormal(-1, 0.8, n),
            "term_months": random.choice([12.0, 36.0, 60.0], n),
            "purpose": pd.Categorical(random.choice(PURPOSES, n)),
            "income_verified": random.choice([0.0, 1.0, np.nan], n),
            "credit_age_months": random.integers(0, 400, n).astype(float),
            "max_months_past_due_6m": random.poisson(0.5, n).astype(float),
            "purpose_default_rate": random.beta(2, 12, n),
        }
    )
    frame.loc[random.random(n) < 0.1, "loan_to_income"] = np.nan
    log_odds = (
        -2.2
        + 0.7 * np.log(frame["loan_to_income"].fillna(0.4) / 0.4)
        + 0.8 * frame["max_months_past_due_6m"]
        + 0.6 * (frame["purpose"] == "other")
    )
    frame.insert(5, "is_default", random.random(n) < 1 / (1 + np.exp(-log_odds)))
    frame.insert(6, "label_known_at", frame["decided_at"] + pd.DateOffset(months=6))
    return TrainingSet(frame, SOURCE, "v1", snapshot=12, sha256=f"{seed:064x}")


@cache
def small_candidate(settings: TrainingSettings = SETTINGS) -> tuple[Candidate, TrainingSet]:
    """A candidate and its training set, made once in a test process; not to be changed."""
    training_set = small_training_set()
    return train(training_set, CONTRACT, settings), training_set
