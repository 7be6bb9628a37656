"""A search of settings for the command: rows that passed their checks, trials, tables, a page, and a candidate."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.judging.gate_limits import limits_of
from ml.judging.gates import MAX_EXCESS_ECE
from ml.search.pictures import draw_search
from ml.search.results import SearchLimits, SearchResult, SearchTrial, write_trials
from ml.search.searching import Budget, Report, fingerprints, search
from ml.search.tracking import log_search
from ml.training.design_matrix import require_features
from ml.training.fitting import training_settings_of
from orchestration.defs.training.candidates import (
    CandidateDirectory,
    TrainingSetRecord,
    candidate_directory,
    read_training_set_record,
)
from orchestration.defs.training.search_page import write_search_page
from orchestration.defs.training.steps import is_trained, judge_and_register, read_rows, train_candidate
from orchestration.lib.feature_versions import feature_contract
from warehouse.errors import SettingError
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


@dataclass(frozen=True)
class Searched:
    """A search, its page, and the registered version of its best trial, if one was trained."""

    result: SearchResult
    page: Path
    candidate: CandidateDirectory | None
    registration: dict[str, Any] | None


@dataclass(frozen=True)
class SearchPlan:
    """What a command asks for; ``train``: whether the best trial's settings become a candidate."""

    source: str
    family: str = ""
    exclude: tuple[str, ...] = ()
    most_features: int | None = None
    budget: Budget = field(default_factory=Budget)
    workers: int = 1
    train: bool = True


def run_search(settings: Settings, plan: SearchPlan, report: Report | None, say: Callable[[str], None]) -> Searched:
    """Search on the training set that the source's last run accepted, and train the best settings as any candidate.

    The candidate passes the gates and is registered. It is not made the current candidate of the main job, and not
    served. Raises NotFoundError if there is no training set.
    """
    lender, record = read_lender(plan.source), read_training_set_record(settings, plan.source)
    base = training_settings_of(lender, family=plan.family, exclude=plan.exclude)
    if base.learns_from_open:
        raise SettingError(
            f"settings of {base.model.name} cannot be searched: each fold would need the exposures known when it "
            "begins; search those of xgboost, which are the same, and compare both by `loanlake model walk-forward`"
        )
    contract = feature_contract(settings, record.feature_version, source=plan.source)
    require_features(contract, plan.exclude)
    result = search(
        settings.searches / plan.source,
        read_rows(settings, record),
        contract,
        base,
        is_dated=_is_dated(settings, plan.source),
        limits=SearchLimits(excess_ece=limits_of(lender)[MAX_EXCESS_ECE], most_features=plan.most_features),
        budget=plan.budget,
        workers=plan.workers,
        report=report,
    )
    plots = draw_search(result)
    write_trials(settings, result, fingerprints(result, contract))
    page = write_search_page(settings, result, plots)
    log_search(settings, result, plots)
    if not plan.train or result.best is None or result.best.is_default:
        return Searched(result, page, None, None)
    say(f"training with the settings of trial {result.best.number}")
    candidate, registration = _trained(settings, record, contract, result.best, fingerprints(result, contract))
    return Searched(result, page, candidate, registration)


def _trained(
    settings: Settings,
    record: TrainingSetRecord,
    contract: FeatureContract,
    best: SearchTrial,
    of_trials: dict[int, str],
) -> tuple[CandidateDirectory, dict[str, Any]]:
    """Train, judge and register; steps that were done before are not repeated."""
    directory = candidate_directory(settings, record.source, of_trials[best.number])
    with directory.turn():
        if not is_trained(settings, record.source, directory):
            train_candidate(settings, record, contract, best.settings, directory)
        return directory, judge_and_register(settings, record, directory)


def _is_dated(settings: Settings, source: str) -> bool:
    with connect(settings) as con:
        found = con.execute("select is_dated from core.int_lenders where source = $1", [source]).fetchone()
    return found is None or bool(found[0])
