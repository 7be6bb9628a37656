"""A model bundle: one immutable directory that holds all a score needs, each file under its checksum.

::

    …                  the model, in the files of its family (ml/families/): trees have booster.ubj, model.onnx, which
                       scores requests, and explainer.npz, which explains them; a logistic regression has
                       coefficients.json alone
    calibrator.json    policy.json    design_matrix.json    contract.json    features.sql
    metrics.json       the evaluation, by split and month, with the baselines
    lineage.json       snapshots, hashes, settings, data range, who, when, how long
    reference.json     the training rows' score quantiles; reference_sample.parquet, reference_scores.parquet
    bundle.json        format, family and what it guarantees, and the SHA-256 of every file above

It is written beside its place and renamed into it, so that a directory at that place is always whole.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ml.families.catalogue import family_of
from ml.families.protocol import Family, Guarantees, Model, ServedForm
from ml.training.calibration import Calibrator, calibrator_from_dict
from ml.training.design_matrix import DesignMatrix
from ml.training.lineage import Lineage
from ml.training.policy import Policy
from warehouse.errors import BundleError, LoanlakeError
from warehouse.features.contract import FeatureContract
from warehouse.files.drafts import draft_directory

if TYPE_CHECKING:
    from ml.judging.evaluation import Evaluation
    from ml.training.fitting import Candidate
    from ml.training.reference import Reference

FORMAT = 4
MANIFEST = "bundle.json"
CALIBRATOR, MATRIX, CONTRACT, FEATURES_SQL = "calibrator.json", "design_matrix.json", "contract.json", "features.sql"
POLICY, METRICS, LINEAGE = "policy.json", "metrics.json", "lineage.json"
REFERENCE, REFERENCE_SAMPLE, REFERENCE_SCORES = "reference.json", "reference_sample.parquet", "reference_scores.parquet"
#: Files of every bundle, besides those of its family.
FILES = (
    CALIBRATOR, MATRIX, CONTRACT, FEATURES_SQL, POLICY,
    METRICS, LINEAGE, REFERENCE, REFERENCE_SAMPLE, REFERENCE_SCORES,
)  # fmt: skip

_T = TypeVar("_T")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle; parts that few scores need are read on demand. ``digest``: SHA-256 of ``bundle.json``."""

    directory: Path
    digest: str
    family: type[Family]
    guarantees: Guarantees
    contract: FeatureContract
    design_matrix: DesignMatrix
    calibrator: Calibrator
    policy: Policy
    lineage: Lineage

    @property
    def feature_version(self) -> str:
        """Version of the feature table, such as ``v1``."""
        return self.contract.version

    @property
    def reference_sample(self) -> Path:
        """Parquet: features of a sample of the training rows, for reports."""
        return self.directory / REFERENCE_SAMPLE

    @property
    def reference_scores(self) -> Path:
        """Parquet: ``application_id`` and ``probability`` of every training row."""
        return self.directory / REFERENCE_SCORES

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The evaluation that the gates judged, as plain JSON types."""
        return dict(_read_json(self.directory, METRICS))

    @cached_property
    def reference(self) -> dict[str, Any]:
        """Number of training rows, sample size and score quantiles."""
        return dict(_read_json(self.directory, REFERENCE))

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files except the manifest."""
        return (*self.family.files, *FILES)

    def read_model(self) -> Model:
        """Read the model that scores blocks of rows; imports its library."""
        return self.family.read(self.directory)

    def open_served(self) -> ServedForm:
        """Open the form that scores and explains requests; raises BundleError if this version cannot read it."""
        return _parsed(self.directory, f"the {self.family.name} model", lambda: self.family.open(self.directory))


def write_bundle(  # noqa: PLR0917  # a bundle's parts, in reading order
    directory: Path,
    candidate: "Candidate",
    contract: FeatureContract,
    evaluation: "Evaluation",
    lineage: Lineage,
    reference: "Reference",
) -> Bundle:
    """Write a bundle at ``directory`` and read it back verified; raises BundleError if the directory exists."""
    if directory.exists():
        raise BundleError(f"a bundle is written once, to a directory that is not there yet: {directory} exists")
    family = type(candidate.settings.model)
    with draft_directory(directory) as draft:
        candidate.model.write(draft, candidate.design_matrix.columns)
        (draft / FEATURES_SQL).write_text(contract.sql)
        for name, content in (
            (CALIBRATOR, candidate.calibrator.to_dict()),
            (MATRIX, asdict(candidate.design_matrix)),
            (CONTRACT, contract.to_dict()),
            (POLICY, asdict(candidate.policy)),
            (METRICS, evaluation.to_dict()),
            (LINEAGE, asdict(lineage)),
            (REFERENCE, reference.to_dict()),
        ):
            _write_json(draft / name, content)
        reference.write(draft / REFERENCE_SAMPLE, draft / REFERENCE_SCORES)
        checksums = {name: sha256_of(draft / name) for name in (*family.files, *FILES)}
        manifest = {
            "format": FORMAT,
            "family": family.name,
            "guarantees": asdict(Guarantees.of(family)),
            "feature_version": contract.version,
            "files": checksums,
        }
        _write_json(draft / MANIFEST, manifest)
        load_bundle(draft)
        _rename(draft, directory)
    return load_bundle(directory)


def load_bundle(directory: Path) -> Bundle:
    """Read a bundle and verify every checksum; raises BundleError naming a missing or changed file."""
    try:
        manifest_bytes = (directory / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(f"{directory} is not a model bundle: it must contain {MANIFEST}: {error.strerror}") from error
    manifest = _parsed(directory, MANIFEST, lambda: json.loads(manifest_bytes))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise BundleError(
            f"{directory / MANIFEST} must be of format {FORMAT}: found {found!r}, of another version of "
            "Loanlake: serve it with that one, or begin a new home and train the model again"
        )
    family = _parsed(directory, MANIFEST, lambda: family_of(manifest["family"]))
    _verify(directory, (*family.files, *FILES), manifest.get("files") or {})
    return Bundle(
        directory=directory,
        digest=hashlib.sha256(manifest_bytes).hexdigest(),
        family=family,
        guarantees=_parsed(directory, MANIFEST, lambda: msgspec.convert(manifest["guarantees"], Guarantees)),
        contract=_parsed(directory, CONTRACT, lambda: FeatureContract.from_dict(_read_json(directory, CONTRACT))),
        design_matrix=_parsed(directory, MATRIX, lambda: msgspec.convert(_read_json(directory, MATRIX), DesignMatrix)),
        calibrator=_parsed(directory, CALIBRATOR, lambda: calibrator_from_dict(_read_json(directory, CALIBRATOR))),
        policy=_parsed(directory, POLICY, lambda: msgspec.convert(_read_json(directory, POLICY), Policy)),
        lineage=_parsed(directory, LINEAGE, lambda: msgspec.convert(_read_json(directory, LINEAGE), Lineage)),
    )


def copy_bundle(bundle: Bundle, directory: Path) -> Bundle:
    """Copy a bundle to ``directory``, whole or not at all; raises BundleError if another bundle is there."""
    if directory.exists():
        found = load_bundle(directory)
        if found.digest != bundle.digest:
            raise BundleError(
                f"{directory} must hold the bundle {bundle.digest[:12]}: found another, {found.digest[:12]}; "
                "bundles are never overwritten: register a new version"
            )
        return found
    with draft_directory(directory) as draft:
        for name in (*bundle.files, MANIFEST):
            shutil.copyfile(bundle.directory / name, draft / name)
        load_bundle(draft)
        _rename(draft, directory)
    return load_bundle(directory)


def _verify(directory: Path, names: tuple[str, ...], checksums: dict[str, str]) -> None:
    unlisted = sorted(set(names) - set(checksums))
    if unlisted:
        raise BundleError(f"{directory / MANIFEST} must list every file of a bundle: it lacks {', '.join(unlisted)}")
    for name in names:
        try:
            found = sha256_of(directory / name)
        except OSError as error:
            raise BundleError(f"the bundle {directory} is incomplete: {name}: {error.strerror}") from error
        if found != checksums[name]:
            raise BundleError(
                f"{directory / name} was changed after the bundle was written: its SHA-256 must be "
                f"{checksums[name]}: found {found}; publish the version again"
            )


def _rename(draft: Path, directory: Path) -> None:
    for path in draft.iterdir():
        path.chmod(0o400)
        with path.open("rb") as file:
            os.fsync(file.fileno())  # a deployment may point here immediately
    draft.chmod(0o700)
    try:
        draft.rename(directory)
    except OSError as error:
        raise BundleError(
            f"a bundle is written once, to a directory that is not there yet: {directory}: {error.strerror}"
        ) from error


def _parsed(directory: Path, name: str, read: Callable[[], _T]) -> _T:
    # the checksum is right, so another version of this program wrote the file
    try:
        return read()
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError, LoanlakeError) as error:
        raise BundleError(f"{directory / name} cannot be read by this version of Loanlake: {error!r}") from error


def _read_json(directory: Path, name: str) -> Any:
    return json.loads((directory / name).read_text(encoding="utf-8"))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
