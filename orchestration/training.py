"""The effects around a training: read rows, call ``ml``, leave files in the candidate's directory.

Apart from the assets so that they can be tested, and used from a notebook, without Dagster.
"""

import getpass
import json
import shutil
from pathlib import Path

from ml.bundle import Bundle, load_bundle, write_bundle
from ml.deployment import Deployment, read_deployment
from ml.evaluation import ChampionScores, evaluate_scores, score_splits
from ml.gates import GateResult, run_gates
from ml.leakage import feature_signals
from ml.lineage import collect_lineage
from ml.parity import check_parity
from ml.plots import evaluation_plots
from ml.reference import build_reference
from ml.scorer import Scorer
from ml.training import TrainingSettings, train
from ml.training_set import TrainingSet, read_training_set
from orchestration.candidates import CandidateDirectory, Judgement, TrainingSetRecord
from warehouse.contract import FeatureContract
from warehouse.errors import NotFoundError
from warehouse.lake import connect
from warehouse.settings import Settings


def feature_contract(settings: Settings) -> FeatureContract:
    """The feature contract as of the last build of the feature tables; raises NotFoundError before the first."""
    manifest = settings.dbt_target / "manifest.json"
    if not manifest.exists():
        raise NotFoundError(f"no dbt manifest at {manifest}: build the feature tables with `loanlake run` first")
    return FeatureContract.from_manifest(manifest)


def train_candidate(
    settings: Settings,
    record: TrainingSetRecord,
    contract: FeatureContract,
    training_settings: TrainingSettings,
    directory: CandidateDirectory,
) -> Bundle:
    """Train, measure, plot and bundle; what lay in ``directory`` before is replaced."""
    with connect(settings) as con:
        rows = read_training_set(con, record.source, snapshot=record.snapshot)
    champion = champion_scores(settings, rows)
    candidate = train(rows, contract, training_settings)
    scores = score_splits(candidate, rows, champion)
    evaluation = evaluate_scores(candidate, scores, champion)
    lineage = collect_lineage(
        candidate, rows, contract, by=getpass.getuser(), manifest=settings.dbt_target / "manifest.json"
    )
    shutil.rmtree(directory.path, ignore_errors=True)
    directory.plots.mkdir(parents=True)
    for name, image in evaluation_plots(scores, evaluation).items():
        (directory.plots / f"{name}.png").write_bytes(image)
    return write_bundle(directory.bundle, candidate, contract, evaluation, lineage, build_reference(candidate, rows))
