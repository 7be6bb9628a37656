"""One candidate for the command: trained on the rows that the last run accepted, judged and registered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ml.families.catalogue import AUTO
from ml.families.protocol import Family
from ml.families.settings import configured
from ml.training.fitting import TREES, TrainingSettings, training_settings_of
from ml.training.imbalance import smote_refusal
from ml.training.lineage import training_fingerprint
from orchestration.defs.training.candidates import CandidateDirectory, candidate_directory, read_training_set_record
from orchestration.defs.training.steps import is_trained, judge_and_register, record_for, train_candidate
from orchestration.lib.feature_versions import feature_contract
from warehouse.errors import SettingError
from warehouse.lenders.lender import Lender
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


@dataclass(frozen=True)
class TrainingPlan:
    """What a command asks for, each in place of the lender's file; what is not given is as the file says.

    ``family_settings``: of the family, beside those that the file has for it. ``ways``: refit, half_life_months,
    imbalance and calibration, as far as they are given.
    """

    source: str
    family: str = ""
    exclude: tuple[str, ...] = ()
    family_settings: Mapping[str, Any] = field(default_factory=dict)
    ways: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A judged and registered candidate; ``is_known``: it was trained before, from the same rows and settings."""

    candidate: CandidateDirectory
    registration: dict[str, Any]
    is_known: bool


def run_training(settings: Settings, plan: TrainingPlan, say: Callable[[str], None] = lambda _: None) -> Trained:
    """Train on the training set that the source's last run accepted, judge by all gates, and register.

    The candidate is not made the current one of the main job, and nothing is served. Raises NotFoundError if there is
    no training set, and SettingError for settings that the family does not have or that cannot be used here.
    """
    # first: a setting that is unknown should not wait for the rows
    training = planned_settings(read_lender(plan.source), plan)
    record = record_for(settings, read_training_set_record(settings, plan.source), training)
    contract = feature_contract(settings, record.feature_version, source=plan.source)
    directory = candidate_directory(settings, plan.source, training_fingerprint(record.sha256, contract, training))
    with directory.turn(say):
        is_known = is_trained(settings, plan.source, directory)
        if not is_known:
            say(f"training {training.model.name} on features {record.feature_version}, lake snapshot {record.snapshot}")
            train_candidate(settings, record, contract, training, directory)
        return Trained(directory, judge_and_register(settings, record, directory), is_known)


def planned_settings(lender: Lender, plan: TrainingPlan) -> TrainingSettings:
    """The lender's settings with those of the plan in their place."""
    # the file's half-life is for loans with dates; one that is asked for is not dropped silently
    if plan.ways.get("half_life_months") is not None and lender.dates != "known":
        raise SettingError(
            f"--half-life-months weighs loans by their dates of decision: {lender.path} says `dates: {lender.dates}`"
        )
    if plan.ways.get("imbalance") == "smote" and (why := smote_refusal(0)):
        raise SettingError(f"imbalance smote {why}")
    lender = replace(lender, model=replace(lender.model, **plan.ways))
    training = training_settings_of(lender, family=plan.family, exclude=plan.exclude)
    if not plan.family_settings:
        return training
    return replace(training, model=_with(lender, plan, training.model))


def _with(lender: Lender, plan: TrainingPlan, family: Family) -> Family:
    of_file = TREES if lender.model.family in (None, AUTO) else lender.model.family
    before = lender.model.settings if of_file == family.name else {}
    return configured(type(family), {**before, **plan.family_settings}, "--setting ")
