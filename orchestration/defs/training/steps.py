"""The effects around a training: read rows, call ``ml``, leave files in the candidate's directory.

Separate from the assets, for use without Dagster. Importing this module imports ``ml``, so assets import it inside
their functions.
"""

import getpass
import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.bundle.bundle import Bundle, load_bundle, write_bundle
from ml.bundle.parity import measure_parity
from ml.bundle.scorer import Scorer
from ml.families.protocol import Family
from ml.judging.evaluation import ChampionScores, Comparison, Evaluation, compare, evaluate_scores, score_splits
from ml.judging.gate import Evidence, GateResult
from ml.judging.gate_limits import limits_of, plain_limits
from ml.judging.gates import OF_WHAT_IS_SERVED, run_gates
from ml.judging.leakage import feature_signals
from ml.judging.plots import draw_all
from ml.monitoring.feature_skew import logged_evidence
from ml.registry import registry
from ml.registry.carried_overrides import carried_overrides
from ml.registry.information_values import record_information_values
from ml.registry.registered_version import RegisteredVersion, load_registered
from ml.registry.tracking import open_experiment
from ml.training.fitting import TrainingSettings, train
from ml.training.lineage import collect_lineage
from ml.training.reference import build_reference
from ml.training.training_set import TrainingSet, read_training_set, rows_seen_by
from orchestration.defs.training.candidates import CandidateDirectory, Judgement, TrainingSetRecord
from orchestration.defs.training.model_page import write_model_page
from orchestration.lib.champions import champion_of
from warehouse.errors import NotFoundError
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, writer
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: Recent online decisions with wrong features prevent a promotion.
RECENT_DECISIONS = timedelta(days=30)


def is_trained(settings: Settings, source: str, directory: CandidateDirectory) -> bool:
    """Whether training again is unnecessary: its version passed, or was compared with the current champion."""
    if not directory.bundle.exists():
        return False
    judgement, champion = directory.read_judgement(), champion_of(settings, source)
    if judgement is not None and judgement.passed:
        return True
    compared_with = load_bundle(directory.bundle).metrics["champion_version"]
    return bool(compared_with == (champion.model_version if champion else None))


def is_judged(source: str, directory: CandidateDirectory) -> bool:
    """Whether judging again gives the same result: same limits, and no refusal by a deployed model fixed since."""
    judgement = directory.read_judgement()
    if judgement is None or not OF_WHAT_IS_SERVED.isdisjoint(judgement.refused):
        return False
    return judgement.limits == plain_limits(limits_of(read_lender(source)))


def train_candidate(
    settings: Settings,
    record: TrainingSetRecord,
    contract: FeatureContract,
    training_settings: TrainingSettings,
    directory: CandidateDirectory,
) -> Bundle:
    """Train, measure, plot and bundle; replaces the content of ``directory``."""
    rows = read_rows(settings, record)
    champion = champion_scores(settings, rows)
    candidate = train(rows, contract, training_settings)
    scores = score_splits(candidate, rows, champion)
    evaluation = evaluate_scores(candidate, scores, champion)
    lineage = collect_lineage(
        candidate, rows, contract, by=getpass.getuser(), manifest=settings.dbt_target / "manifest.json"
    )
    shutil.rmtree(directory.path, ignore_errors=True)
    directory.plots.mkdir(parents=True)
    for name, image in draw_all(evaluation, scores).items():
        (directory.plots / f"{name}.png").write_bytes(image)
    return write_bundle(directory.bundle, candidate, contract, evaluation, lineage, build_reference(candidate, rows))


def judge_candidate(settings: Settings, record: TrainingSetRecord, directory: CandidateDirectory) -> Judgement:
    """Decide every gate and store the decisions; if they changed, registration is due again."""
    bundle, limits = load_bundle(directory.bundle), limits_of(read_lender(record.source))
    evaluation = Evaluation.from_dict(bundle.metrics)
    with connect(settings) as con:
        parity = measure_parity(con, bundle).evidence
    signals = feature_signals(read_rows(settings, record), bundle.contract)
    logged = logged_evidence(settings, record.source, since=skew_since(settings))
    overrides = carried_overrides(settings, bundle.lineage)
    results = run_gates(Evidence(evaluation, signals, parity, bundle.guarantees, logged, overrides), limits)
    judgement = Judgement(
        evaluation.champion_version, tuple(asdict(result) for result in results), plain_limits(limits)
    )
    before = directory.read_judgement()
    if before is not None and (before.refused, before.limits) != (judgement.refused, judgement.limits):
        directory.forget_registration()
    directory.write_judgement(judgement)
    return judgement


def judge_and_register(settings: Settings, record: TrainingSetRecord, directory: CandidateDirectory) -> dict[str, Any]:
    """Judge a trained candidate, write its page and register it; steps that were done before are not repeated.

    For candidates beside the main job: none becomes its current one, and none is served.
    """
    judgement = directory.read_judgement()
    if judgement is None or not is_judged(record.source, directory):
        judgement = judge_candidate(settings, record, directory)
    write_model_page(settings, record.source, directory, judgement)
    return directory.read_registration() or register_candidate(settings, record, directory)


def skew_since(settings: Settings) -> datetime:
    """Since when new decisions in the lake count against a promotion, naive UTC."""
    return settings.skew_since or datetime.now(UTC).replace(tzinfo=None) - RECENT_DECISIONS


def register_candidate(settings: Settings, record: TrainingSetRecord, directory: CandidateDirectory) -> dict[str, Any]:
    """Register the judged candidate with MLflow, refused or not, and record the gates' decisions in the lake.

    Of a scorecard also its features' information values.

    Returns the stored ``model_name``, ``model_version``, ``run_id``, ``experiment_id``.
    """
    bundle, judgement = load_bundle(directory.bundle), directory.read_judgement()
    if judgement is None:
        raise NotFoundError(f"{directory.path} holds no judgement: materialise model/evaluation first")
    version = registry.register(
        settings,
        bundle,
        training_set=read_rows(settings, record),
        evaluation=Evaluation.from_dict(bundle.metrics),
        gates=[GateResult(**gate) for gate in judgement.gates],
        plots=directory.read_plots(),
    )
    record_gates(settings, version, judgement)
    record_information_values(settings, bundle, name=version.name, version=version.version)
    registration = {
        "model_name": version.name,
        "model_version": version.version,
        "run_id": version.run_id,
        "experiment_id": open_experiment(settings, version.source),
    }
    directory.write_registration(registration)
    return registration


def record_gates(settings: Settings, version: RegisteredVersion, judgement: Judgement) -> None:
    """Update this version's rows in ``monitoring.gate_results``; writes only changes."""
    columns = ("gate", "passed", "required", "found", "message")
    rows = [tuple(gate[column] for column in columns) for gate in judgement.gates]
    of_version = "where model_name = ? and model_version = ?"
    with connect(settings) as con:
        stored = con.execute(
            f"select {', '.join(columns)} from monitoring.gate_results {of_version}", [version.name, version.version]
        ).fetchall()
    if sorted(stored) == sorted(rows):
        return
    with writer(f"gates of {version.name} version {version.version}", settings) as con:
        con.execute("begin")
        con.execute(f"delete from monitoring.gate_results {of_version}", [version.name, version.version])
        con.executemany(
            "insert into monitoring.gate_results by name select ? as source, ? as model_name, ? as model_version, "
            f"{', '.join(f'? as {column}' for column in columns)}, now()::timestamp as decided_at",
            [(version.source, version.name, version.version, *row) for row in rows],
        )
        con.execute("commit")


def champion_scores(settings: Settings, rows: TrainingSet) -> ChampionScores | None:
    """The champion's probabilities of the same test rows, by its own features; None without a champion."""
    champion = champion_of(settings, rows.source)
    if champion is None:
        return None
    scorer = Scorer(load_registered(settings, champion.source, champion.model_version))
    with connect(settings) as con:
        test_rows = rows_seen_by(con, rows, "test", feature_version=scorer.contract.version)
    matrix = scorer.bundle.design_matrix.encode(test_rows)
    return ChampionScores(champion.model_version, scorer.score_matrix(matrix).probability)


def compare_with_champion(settings: Settings, directory: CandidateDirectory) -> Comparison:
    """The candidate's figures minus the champion's, on its test rows; raises NotFoundError without a champion."""
    bundle = load_bundle(directory.bundle)
    lineage = bundle.lineage
    record = TrainingSetRecord(
        lineage.source,
        lineage.feature_version,
        lineage.lake_snapshot,
        lineage.training_set_sha256,
        exposures=lineage.has_exposures,
    )
    rows = read_rows(settings, record)
    champion = champion_scores(settings, rows)
    if champion is None:
        raise NotFoundError(f"no model of {lineage.source} is in service to compare {directory.path} with")
    ours = Scorer(bundle).score_matrix(bundle.design_matrix.encode(rows.rows("test"))).probability
    return compare(rows.defaulted("test"), ours, champion.probabilities)


def model_of_version(settings: Settings, source: str, version: int) -> Family:
    """The family of a registered version, with the settings that trained it; raises NotFoundError without it."""
    return TrainingSettings.from_dict(load_registered(settings, source, version).lineage.settings).model


def record_for(settings: Settings, record: TrainingSetRecord, training_settings: TrainingSettings) -> TrainingSetRecord:
    """The record as these settings read it: with open loans or without, which changes its hash."""
    if record.exposures == training_settings.learns_from_open:
        return record
    rows = read_rows(settings, record, exposures=training_settings.learns_from_open)
    return replace(record, sha256=rows.sha256, exposures=rows.has_exposures)


def read_rows(settings: Settings, record: TrainingSetRecord, *, exposures: bool | None = None) -> TrainingSet:
    """The training set of a record, as of its snapshot; ``exposures``: in place of the record's."""
    with connect(settings) as con:
        return read_training_set(
            con,
            record.source,
            feature_version=record.feature_version,
            snapshot=record.snapshot,
            most_bytes=settings.training_bytes,
            exposures=record.exposures if exposures is None else exposures,
        )
