"""The origin of a model: how to find its rows, code and settings, and whether a training was done before."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.families.catalogue import learns_from_open
from ml.training.family_choice import FamilyChoice
from ml.training.imbalance import packages
from warehouse.features.contract import FeatureContract
from warehouse.settings import REPOSITORY

if TYPE_CHECKING:
    from ml.training.fitting import Candidate, TrainingSettings
    from ml.training.training_set import TrainingSet

_PACKAGES = ("loanlake", "duckdb", "numpy", "onnxruntime", "scikit-learn")


@dataclass(frozen=True)
class Lineage:
    """The origin of one trained model.

    ``lake_snapshot``: ``training.trn_default_vN at (version => …)``, with ``feature_version`` vN, is its training set,
    and ``rows["open"]`` are loans whose window was still open, where ``has_exposures``.
    ``decided_from``, ``decided_to``: first and last decision, ISO 8601. ``rows``: by split. ``git_commit`` ends in
    ``+changes`` if the working tree differed; None outside a repository. ``fingerprint``: equal exactly if training
    set, contract and settings are. ``settings``: those that give this model again, its family included;
    ``family_choice``: why that family, where training chose it.
    """

    source: str
    fingerprint: str
    lake_snapshot: int
    training_set_sha256: str
    feature_version: str
    contract_fingerprint: str
    settings: dict[str, Any]
    rows: dict[str, int]
    decided_from: str
    decided_to: str
    trained_at: str
    trained_by: str
    seconds: float
    dbt_manifest_sha256: str | None = None
    git_commit: str | None = None
    packages: dict[str, str] = field(default_factory=dict)
    family_choice: FamilyChoice | None = None

    @property
    def family(self) -> str:
        """The family of the model."""
        return str(self.settings["family"])

    @property
    def has_exposures(self) -> bool:
        """Whether its training set has exposures and open loans (:mod:`ml.training.training_set`)."""
        return learns_from_open(self.family)


def collect_lineage(
    candidate: "Candidate",
    training_set: "TrainingSet",
    contract: FeatureContract,
    *,
    by: str,
    manifest: Path | None = None,
) -> Lineage:
    """Lineage of a candidate just trained on this training set; ``manifest``: dbt's, if any."""
    decided_at = training_set.frame["decided_at"]
    return Lineage(
        source=training_set.source,
        fingerprint=training_fingerprint(training_set.sha256, contract, candidate.settings),
        lake_snapshot=training_set.snapshot,
        training_set_sha256=training_set.sha256,
        feature_version=contract.version,
        contract_fingerprint=contract.fingerprint,
        settings=_plain(candidate.settings),
        rows={str(split): int(n) for split, n in training_set.frame["split"].value_counts(sort=False).items()},
        decided_from=decided_at.min().isoformat(),
        decided_to=decided_at.max().isoformat(),
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        trained_by=by,
        seconds=round(candidate.training_seconds, 3),
        dbt_manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest else None,
        git_commit=git_commit(),
        packages={name: version(name) for name in _PACKAGES}
        | candidate.settings.model.packages()
        | packages(candidate.settings.imbalance),
        family_choice=candidate.family_choice,
    )


def training_fingerprint(training_set_sha256: str, contract: FeatureContract, settings: "TrainingSettings") -> str:
    """SHA-256 over the rows, the contract and the settings."""
    text = json.dumps([training_set_sha256, contract.fingerprint, _plain(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def git_commit(repository: Path = REPOSITORY) -> str | None:
    """The commit of this code, with ``+changes`` if tracked files differ; None without git."""
    commit = _git(repository, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+changes" if _git(repository, "status", "--porcelain", "--untracked-files=no") else "")


def _plain(settings: "TrainingSettings") -> dict[str, Any]:
    # through JSON, so that what is hashed and compared is what a bundle reads back: lists, not tuples
    plain: dict[str, Any] = json.loads(json.dumps(settings.to_dict()))
    return plain


def _git(repository: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None or not (repository / ".git").exists():
        return None
    command = [git, "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # fixed arguments
    return done.stdout.strip() if done.returncode == 0 else None
