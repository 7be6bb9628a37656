"""An ensemble of registered versions: their settings on their rows, so that its members are these versions to the byte.

A version that learned from tune rows cannot be weighed on them. Its first fit can, and no bundle has it. Training gives
equal bytes for equal rows and settings, so both fits are repeated, and the second is compared with the version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ml.bundle.bundle import Bundle, load_bundle
from ml.families.ensemble import Ensemble, Member, Method, Weights, read_weights
from ml.registry.registered_version import load_registered
from ml.training.fitting import TrainingSettings, training_settings_of
from ml.training.lineage import Lineage, training_fingerprint
from orchestration.defs.training.candidates import CandidateDirectory, TrainingSetRecord, candidate_directory
from orchestration.defs.training.steps import is_trained, judge_and_register, read_rows, train_candidate
from warehouse.errors import BundleError, SettingError, TrainingSetError
from warehouse.lenders.lender import Lender
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: What versions must have in common, besides their rows: members read one matrix, learned in one way.
_SHARED = ("exclude", "refit", "half_life_months")


@dataclass(frozen=True)
class Ensembled:
    """A judged and registered ensemble; ``weights`` has its members in the order of ``versions``."""

    versions: tuple[int, ...]
    weights: Weights
    candidate: CandidateDirectory
    registration: dict[str, Any]


def run_ensemble(
    settings: Settings, source: str, versions: tuple[int, ...], *, method: Method | None = None, l2: float | None = None
) -> Ensembled:
    """Train, judge and register an ensemble of registered versions; nothing is served.

    ``method``, ``l2``: see :class:`ml.families.ensemble.Ensemble`. Raises NotFoundError for an unknown version,
    SettingError for versions that cannot be added, TrainingSetError if their rows are not there any more, and
    BundleError if training here gives other models.
    """
    bundles = {version: load_registered(settings, source, version) for version in dict.fromkeys(versions)}
    lineages = {version: bundle.lineage for version, bundle in bundles.items()}
    given: dict[str, Any] = {"method": method, "l2": l2}
    training = ensemble_of(
        read_lender(source), lineages, **{name: value for name, value in given.items() if value is not None}
    )
    first = next(iter(bundles.values()))
    record = TrainingSetRecord(
        source, first.feature_version, first.lineage.lake_snapshot, first.lineage.training_set_sha256
    )
    found = read_rows(settings, record).sha256
    if found != record.sha256:
        raise TrainingSetError(
            f"an ensemble needs the rows that trained its members, of SHA-256 {record.sha256[:12]}: found "
            f"{found[:12]} at snapshot {record.snapshot}, since persons were erased; train its members again"
        )
    directory = candidate_directory(settings, source, training_fingerprint(record.sha256, first.contract, training))
    with directory.turn():
        if not is_trained(settings, source, directory):
            train_candidate(settings, record, first.contract, training, directory)
        _require_the_same(load_bundle(directory.bundle), bundles)
        registration = judge_and_register(settings, record, directory)
    return Ensembled(tuple(bundles), read_weights(directory.bundle), directory, registration)


def ensemble_of(lender: Lender, lineages: Mapping[int, Lineage], **given: Any) -> TrainingSettings:
    """The settings of an ensemble of versions, by their lineages; ``given``: settings of the ensemble itself.

    Raises SettingError unless they are two or more that share rows, features and the way of learning.
    """
    if len(lineages) < 2:
        raise SettingError(f"an ensemble needs two versions or more: found {len(lineages)}")
    members = tuple(Member.of(TrainingSettings.from_dict(lineage.settings).model) for lineage in lineages.values())
    for member in members:
        member.built()  # first: a family that cannot be a member has other rows too
    one, *others = lineages.items()
    for version, lineage in others:
        if differing := _differing(one[1], lineage):
            raise SettingError(
                f"the versions of an ensemble must share their training set, features and way of learning: versions "
                f"{one[0]} and {version} differ in {', '.join(differing)}; train both again on the same rows"
            )
    shared = TrainingSettings.from_dict(one[1].settings)
    return replace(
        training_settings_of(lender, family=Ensemble.name, exclude=shared.exclude),
        model=Ensemble(members, **given),
        refit=shared.refit,
        half_life_months=shared.half_life_months,
    )


def _differing(one: Lineage, other: Lineage) -> list[str]:
    names = ("feature_version", "contract_fingerprint", "training_set_sha256")
    found = [name.replace("_", " ") for name in names if getattr(one, name) != getattr(other, name)]
    return found + [f"setting {name}" for name in _SHARED if one.settings[name] != other.settings[name]]


def _require_the_same(ensemble: Bundle, versions: Mapping[int, Bundle]) -> None:
    """Raise BundleError unless each member that counts has the files of its version."""
    counting = {place for place, _ in read_weights(ensemble.directory).counting()}
    for place, (version, bundle) in enumerate(versions.items()):
        if f"members/{place}" not in counting:
            continue
        for name in bundle.model_files:
            if ensemble.checksums.get(f"members/{place}/{name}") != bundle.checksums[name]:
                ours, theirs = ensemble.lineage.packages, bundle.lineage.packages
                differing = [
                    f"{each} {theirs[each]}, here {ours.get(each)}" for each in theirs if theirs[each] != ours.get(each)
                ]
                raise BundleError(
                    f"member {place + 1} of the ensemble must be version {version} to the byte: its {name} differs "
                    f"(libraries then: {'; '.join(differing) or 'the same'}); train version {version} again here"
                )
