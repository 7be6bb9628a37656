"""A small lender and a real model of it: contract, rows, lake tables, training, bundle, deployment, in a second or two.

The contract is written by hand and has every kind of column; its SQL runs in DuckDB for the offline side and through
the compiler for the online side, as dbt's does.
"""

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ml.bundle.bundle import Bundle, load_bundle, write_bundle
from ml.families.catalogue import family_of
from ml.families.ensemble import Ensemble, Member
from ml.families.linear.logistic import LogisticRegression
from ml.families.linear.scorecard import Scorecard
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.families.tree_based.catboost import CatBoost
from ml.families.tree_based.hazard import ProportionalHazards
from ml.families.tree_based.random_forest import RandomForest
from ml.judging.evaluation import Evaluation, evaluate
from ml.registry.deployment import Deployment
from ml.registry.registered_version import RegisteredVersion, keep_version
from ml.rollout.promotion import publish
from ml.training.fitting import Candidate, TrainingSettings, train
from ml.training.lineage import collect_lineage
from ml.training.reference import build_reference
from ml.training.training_set import TrainingSet, read_training_set
from tests.made_once import made_once, own_directory
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings

SOURCE = "simulated"
MODEL_NAME = f"default_risk_{SOURCE}"
PURPOSES = ("car", "debt_consolidation", "other")
START = datetime(2020, 1, 1)
MONTHS = 24

INPUTS = (
    InputColumn("application_id", "varchar", "Id of the application.", "key", example="sim-1"),
    InputColumn("borrower_id", "varchar", "Id of the borrower.", "key", example="sim-b1"),
    InputColumn("source", "varchar", "The lender.", "context"),
    InputColumn("decided_at", "timestamp", "When the decision is taken.", "context"),
    InputColumn("requested_amount", "double", "Amount asked for.", "request", True, (100, 100_000), example=12_000.0),
    InputColumn("term_months", "integer", "Months to repay.", "request", True, (1, 480), example=36),
    InputColumn("purpose", "varchar", "What it is for.", "request", True, None, PURPOSES, example="car"),
    InputColumn("annual_income", "double", "Declared income a year.", "request", False, (0, 1e7), example=48_000.0),
    InputColumn("income_verified", "boolean", "Whether it was checked.", "request", example=True),
    InputColumn("oldest_account_on", "date", "Opening of the oldest account.", "request", example="2010-05-01"),
    InputColumn("max_months_past_due_6m", "integer", "Worst statement in 6 months.", "history", range=(0, 60)),
    InputColumn(
        "purpose_default_rate", "double", "Trailing rate of the purpose.", "cohort", range=(0, 1), segment="purpose"
    ),
)
FEATURES = (
    FeatureColumn("requested_amount", "double", "Amount.", "numeric", (100, 100_000), reason="The amount is high"),
    FeatureColumn(
        "loan_to_income", "double", "Amount over income.", "numeric", (0, 1000), None, "increasing",
        "The amount requested is high for the declared income",
    ),
    FeatureColumn("term_months", "integer", "Months.", "numeric", (1, 480), reason="The term is long"),
    FeatureColumn("purpose", "varchar", "Purpose.", "categorical", None, PURPOSES, reason="The purpose of the loan"),
    FeatureColumn("income_verified", "boolean", "Verified.", "boolean", reason="The income could not be verified"),
    FeatureColumn(
        "credit_age_months", "bigint", "Age of the oldest account.", "numeric", (0, 900), None, "decreasing",
        "The credit history is short",
    ),
    FeatureColumn(
        "max_months_past_due_6m", "integer", "Worst arrears.", "numeric", (0, 60), None, "increasing",
        "Recent statements were past due",
    ),
    FeatureColumn(
        "purpose_default_rate", "double", "Trailing rate.", "numeric", (0, 1), None, "increasing",
        "Loans for this purpose defaulted often",
    ),
)  # fmt: skip
SQL = """
select
    application_id,
    borrower_id,
    source,
    decided_at,
    requested_amount,
    requested_amount / nullif(annual_income, 0) as loan_to_income,
    term_months,
    purpose,
    income_verified,
    date_diff('month', oldest_account_on, decided_at) as credit_age_months,
    max_months_past_due_6m,
    purpose_default_rate
from features.ftr_application_inputs
"""
CONTRACT = FeatureContract(version="v1", inputs=INPUTS, features=FEATURES, sql=SQL)
#: Small, but deep and long enough for interactions, missing branches and merged tests on a path.
SETTINGS = TrainingSettings(
    model=GradientBoosting(max_trees=40, learning_rate=0.15, max_depth=4, threads=1), calibration="beta"
)


#: The settings of each family's shared bundle, by name.
FAMILIES = {
    "xgboost": SETTINGS,
    "logistic": replace(SETTINGS, model=LogisticRegression()),
    "scorecard": replace(SETTINGS, model=Scorecard()),
    "hazard": replace(SETTINGS, model=ProportionalHazards(max_trees=40, learning_rate=0.15, max_depth=4, threads=1)),
    "random_forest": replace(SETTINGS, model=RandomForest(n_trees=20, max_depth=4, threads=1)),
    "catboost": replace(SETTINGS, model=CatBoost(max_trees=40, learning_rate=0.15)),
    "ensemble": replace(SETTINGS, model=Ensemble((Member.of(SETTINGS.model), "logistic"), l2=1000)),
}


def input_rows(n: int = 2000, *, seed: int = 7) -> list[dict[str, object]]:
    """Inputs of ``n`` applications over 24 months, a tenth of the optional values missing."""
    random = np.random.default_rng(seed)

    def or_missing(value: object) -> object:
        return None if random.random() < 0.1 else value

    return [
        {
            "application_id": f"sim-{number}",
            "borrower_id": f"sim-b{number // 2}",
            "source": SOURCE,
            "decided_at": START + timedelta(days=int(number * MONTHS * 30 / n), hours=9),
            "requested_amount": float(round(random.lognormal(9, 0.7), 2)),
            "term_months": int(random.choice([12, 36, 60])),
            "purpose": str(random.choice(PURPOSES)),
            "annual_income": or_missing(float(round(random.lognormal(10.5, 0.6), 2))),
            "income_verified": or_missing(bool(random.random() < 0.6)),
            "oldest_account_on": or_missing(date(1995, 1, 1) + timedelta(days=int(random.integers(0, 9000)))),
            "max_months_past_due_6m": or_missing(int(random.poisson(0.4))),
            "purpose_default_rate": or_missing(float(random.beta(2, 12))),
        }
        for number in range(n)
    ]


def fill_lake(settings: Settings, n: int = 2000, *, seed: int = 7) -> int:
    """Write inputs, features, labels and the training set as dbt would; returns the lake's snapshot."""
    rows = pd.DataFrame(input_rows(n, seed=seed)).astype(
        {"income_verified": "boolean", "max_months_past_due_6m": "Int32", "term_months": "Int32"}
    )
    defaulted = _outcomes(rows, seed)
    typed = ", ".join(f"{column.name}::{column.data_type} as {column.name}" for column in INPUTS)
    with writer("test data", settings) as con:
        con.register("rows", rows)
        con.register("labels", pd.DataFrame({"application_id": rows["application_id"], "is_default": defaulted}))
        con.execute(f"create or replace table features.ftr_application_inputs as select {typed} from rows")
        con.execute(f"create or replace table features.ftr_application_v1 as {SQL}")
        con.execute("""
            create or replace table training.lbl_default as
            select application_id, source, decided_at, is_default,
                decided_at + interval 6 months as outcome_at, decided_at + interval 6 months as known_at,
                decided_at + interval 12 months as matured_at
            from labels join features.ftr_application_inputs using (application_id)""")
        con.execute(f"""
            create or replace table training.trn_default_v1 as
            select application_id, borrower_id, source, decided_at,
                case when decided_at < timestamp '2021-01-01' then 'train'
                    when decided_at < timestamp '2021-06-01' then 'tune' else 'test' end as split,
                is_default, known_at as label_known_at, {", ".join(CONTRACT.feature_names)}
            from features.ftr_application_v1
            join (select application_id, is_default, known_at from training.lbl_default) using (application_id)""")
        con.execute("""
            create or replace table training.lbl_exposures as
            select application_id, source, decided_at, false as is_open, is_default,
                case when is_default then 0.5 else 1.5 end::double as observed_windows,
                decided_at + interval 18 months as observed_until
            from training.lbl_default""")
        return current_snapshot(con)


def trained(settings: Settings, training_settings: TrainingSettings = SETTINGS) -> tuple[Candidate, TrainingSet]:
    """Train on the lake that :func:`fill_lake` wrote."""
    con = connect(settings)
    try:
        exposures = training_settings.learns_from_open
        training_set = read_training_set(con, SOURCE, feature_version="v1", exposures=exposures)
    finally:
        con.close()
    return train(training_set, CONTRACT, training_settings), training_set


def write_model(
    directory: Path, candidate: Candidate, training_set: TrainingSet, evaluation: Evaluation | None = None
) -> Bundle:
    """Evaluate and bundle a candidate."""
    return write_bundle(
        directory,
        candidate,
        CONTRACT,
        evaluation=evaluation or evaluate(candidate, training_set),
        lineage=collect_lineage(candidate, training_set, CONTRACT, by="tests"),
        reference=build_reference(candidate, training_set, sample_rows=100),
    )


def shared_bundle(*, seed: int = 7, family: str = "xgboost") -> Bundle:
    """A real bundle of 2,000 rows, trained once in a test run for each seed and family; read-only."""
    return _shared_bundle(seed, family)


@cache
def _shared_bundle(seed: int, family: str) -> Bundle:
    # a family without an entry above has its own defaults
    return trained_bundle(FAMILIES.get(family) or replace(SETTINGS, model=family_of(family)()), seed=seed)


def trained_bundle(training_settings: TrainingSettings, *, seed: int = 7) -> Bundle:
    """A real bundle of 2,000 rows, trained once in a test run for each seed and name of a family; read-only."""

    def make(directory: Path) -> None:
        write_model(directory / "bundle", *trained(filled_home(seed=seed), training_settings))

    return load_bundle(made_once(f"bundle-{training_settings.model.name}-{seed}", make) / "bundle")


@cache
def filled_home(*, seed: int = 7) -> Settings:
    """A home with the lake of :func:`fill_lake`, filled once in a test process for each seed; read it, or copy it."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(own_directory() / "home")})
    fill_lake(settings, seed=seed)
    return settings


def publish_model(
    settings: Settings, *, version: int = 1, seed: int = 7, family: str = "xgboost", source: str = SOURCE
) -> Deployment:
    """Serve the shared bundle of a seed and family in this home, without MLflow; another seed is another model."""
    registered = register_model(settings, shared_bundle(seed=seed, family=family), version=version, source=source)
    return publish(settings, registered, by="tests")


def register_model(settings: Settings, bundle: Bundle, *, version: int = 1, source: str = SOURCE) -> RegisteredVersion:
    """Record a bundle as a version that passed its gates, and keep it in the home, without MLflow."""
    registered = RegisteredVersion.of_bundle(bundle, name=f"default_risk_{source}", version=version)
    registered = replace(registered, source=source)
    keep_version(settings, registered, bundle)
    return registered


def _outcomes(rows: pd.DataFrame, seed: int) -> pd.Series:
    random = np.random.default_rng(seed + 1)
    log_odds = (
        -1.6
        + 0.9 * np.log((rows["requested_amount"] / rows["annual_income"]).fillna(0.3) / 0.3)
        + 0.8 * rows["max_months_past_due_6m"].fillna(1).astype(float)
        + 0.4 * (rows["purpose"] == "other")
        + 0.01 * (rows["term_months"].astype(float) - 36)
    )
    return pd.Series(random.random(len(rows)) < 1 / (1 + math.e**-log_odds)).astype(bool)
