"""A second version of the factory's model, of another family and feature version: what a challenger looks like.

It needs ``employment_years`` of every request and looks up ``region_default_rate`` by a region, neither of which
version 1 knows; and it has no use for ``income_verified``.
"""

from functools import cache
from pathlib import Path

from ml.bundle.bundle import Bundle, load_bundle, write_bundle
from ml.judging.evaluation import evaluate
from ml.registry.deployment import CanaryPlan, Deployment, read_deployment
from ml.rollout.challenge import start_challenge
from ml.training.fitting import train
from ml.training.lineage import collect_lineage
from ml.training.reference import build_reference
from ml.training.training_set import read_training_set
from tests.made_once import made_once
from tests.model_factory import CONTRACT, FAMILIES, SOURCE, fill_lake, register_model
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

INPUTS = (
    *(column for column in CONTRACT.inputs if column.name != "income_verified"),
    InputColumn("employment_years", "double", "Years in work.", "request", True, (0, 60), example=4.0),
    InputColumn("region", "varchar", "Where they live.", "request", False, None, ("north", "south"), example="north"),
    InputColumn("region_default_rate", "double", "Trailing rate.", "cohort", range=(0, 1), segment="region"),
)
FEATURES = (
    *(feature for feature in CONTRACT.features if feature.name != "income_verified"),
    FeatureColumn("employment_years", "double", "Years.", "numeric", (0, 60), reason="The time in work is short"),
    FeatureColumn("region_default_rate", "double", "Rate.", "numeric", (0, 1), reason="Loans of this region defaulted"),
)
CONTRACT_2 = FeatureContract(
    version="v2",
    inputs=INPUTS,
    features=FEATURES,
    sql=CONTRACT.sql.replace("income_verified,", "employment_years,\n    region_default_rate,"),
)
VERSION = 2
#: What version 2 asks for beyond ``tests.serving_home.APPLICATION``.
MORE = {"employment_years": 4.0, "region": "north"}


@cache
def second_bundle() -> Bundle:
    """A real bundle of version 2, trained once in a test run; read-only."""
    return load_bundle(made_once("second", _train_second) / "bundle")


def _train_second(directory: Path) -> None:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(directory / "home")})
    fill_lake(settings)
    names = ", ".join(CONTRACT_2.feature_names)
    with writer("test data", settings) as con:
        con.execute("""
            create or replace table features.ftr_application_inputs as
            select *, (hash(application_id) % 400 / 10.0)::double as employment_years,
                if(hash(borrower_id) % 2 = 0, 'north', 'south') as region, 0.1::double as region_default_rate
            from features.ftr_application_inputs""")
        con.execute(f"create or replace table features.ftr_application_v2 as {CONTRACT_2.sql}")
        con.execute(f"""
            create or replace table training.trn_default_v2 as
            select application_id, borrower_id, source, decided_at, split, is_default, label_known_at, {names}
            from (select application_id, split, is_default, label_known_at from training.trn_default_v1)
            join features.ftr_application_v2 using (application_id)""")
    with connect(settings) as con:
        training_set = read_training_set(con, SOURCE, feature_version="v2")
    candidate = train(training_set, CONTRACT_2, FAMILIES["logistic"])
    write_bundle(
        directory / "bundle",
        candidate,
        CONTRACT_2,
        evaluation=evaluate(candidate, training_set),
        lineage=collect_lineage(candidate, training_set, CONTRACT_2, by="tests"),
        reference=build_reference(candidate, training_set, sample_rows=100),
    )


def challenge_with_second(
    settings: Settings, *, share: float | None = None, plan: CanaryPlan | None = None
) -> Deployment:
    """Let version 2 challenge what is served, without MLflow: in shadow, with a share, or as a canary."""
    champion = read_deployment(settings, SOURCE)
    assert champion is not None
    second = register_model(settings, second_bundle(), version=VERSION)
    return start_challenge(settings, second, against=champion, share=share, plan=plan, by="tests")
