"""The state of a model in the making: small files under the home, no pickles.

::

    candidates/<source>/training_set.json       the next training's rows: version, snapshot, hash
    candidates/<source>/current                 the fingerprint of the current candidate
    candidates/<source>/<fingerprint>/bundle/   the candidate, as it would be served
                                     /plots/    PNG
                                     /judgement.json     the gates' decisions
                                     /registered.json    its model version, once it has one
                                     /publication.json   whether it was published, and why
    candidates/<source>/<fingerprint>.lock      held by the process that makes it

A fingerprint is equal exactly when training set, feature contract and training settings are: then there is nothing to
train.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from warehouse.errors import NotFoundError
from warehouse.files.replacing import replace_file
from warehouse.files.turns import file_turn, file_turn_if_free
from warehouse.settings import Settings


@dataclass(frozen=True)
class TrainingSetRecord:
    """A source's training set: rows of a feature version at a lake snapshot, and their hash.

    ``exposures``: whether it has open loans too, for a family that learns from them.
    """

    source: str
    feature_version: str
    snapshot: int
    sha256: str
    exposures: bool = False


@dataclass(frozen=True)
class Judgement:
    """The gates' decisions on a candidate; each entry has gate, passed, required, found, message.

    ``champion_version``: the version compared with, or None. ``limits``: of the gates, after the lender's file.
    """

    champion_version: int | None
    gates: tuple[dict[str, Any], ...]
    limits: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no gate refused."""
        return not self.refused

    @property
    def moved(self) -> dict[str, str]:
        """What the lender's file moved or declared, and why: limits and honest features by name."""
        return {**self.limits.get("moved", {}), **self.limits.get("honest_features", {})}

    @property
    def refused(self) -> tuple[str, ...]:
        """The gates that refused, by name."""
        return tuple(gate["gate"] for gate in self.gates if not gate["passed"])


@dataclass(frozen=True)
class CandidateDirectory:
    """One candidate's directory."""

    path: Path

    @property
    def fingerprint(self) -> str:
        """Of what made it."""
        return self.path.name

    @property
    def bundle(self) -> Path:
        """The model bundle."""
        return self.path / "bundle"

    @property
    def plots(self) -> Path:
        """PNG files, by what they show."""
        return self.path / "plots"

    @contextmanager
    def turn(self, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Train, judge and register this candidate alone: a second process waits, and finds it done."""
        lock = self.path.with_name(f"{self.fingerprint}.lock")
        with file_turn_if_free(lock) as is_free:
            if is_free:
                yield
                return
        say("another process trains the same rows with the same settings: waiting for its model")
        with file_turn(lock):
            yield

    def read_plots(self) -> dict[str, bytes]:
        """PNG images by name."""
        return {path.stem: path.read_bytes() for path in sorted(self.plots.glob("*.png"))}

    def read_judgement(self) -> Judgement | None:
        """The gates' decisions, or None."""
        data = _read(self.path / "judgement.json")
        return None if data is None else Judgement(data["champion_version"], tuple(data["gates"]), data["limits"])

    def write_judgement(self, judgement: Judgement) -> None:
        """Keep the gates' decisions."""
        _write(self.path / "judgement.json", asdict(judgement))

    def read_registration(self) -> dict[str, Any] | None:
        """``model_name``, ``model_version``, ``run_id``; None before it was registered."""
        found: dict[str, Any] | None = _read(self.path / "registered.json")
        return found

    def write_registration(self, registration: dict[str, Any]) -> None:
        """Keep the model version it became."""
        _write(self.path / "registered.json", registration)

    def read_publication(self) -> dict[str, str] | None:
        """``word`` and ``text`` of the outcome, and the ``rule``; None before."""
        found: dict[str, str] | None = _read(self.path / "publication.json")
        return found

    def write_publication(self, publication: dict[str, str]) -> None:
        """Keep what became of it."""
        _write(self.path / "publication.json", publication)

    def forget_registration(self) -> None:
        """Make registration due again: same model version, new gate decisions."""
        (self.path / "registered.json").unlink(missing_ok=True)


def candidate_directory(settings: Settings, source: str, fingerprint: str) -> CandidateDirectory:
    """The directory of a candidate, whether or not it exists."""
    return CandidateDirectory(settings.candidates / source / fingerprint)


def set_current(settings: Settings, source: str, candidate: CandidateDirectory) -> None:
    """Make this the candidate of later steps."""
    _write(settings.candidates / source / "current", {"fingerprint": candidate.fingerprint})


def current_candidate(settings: Settings, source: str) -> CandidateDirectory:
    """The source's last trained candidate; raises NotFoundError if there is none."""
    data = _read(settings.candidates / source / "current")
    if data is None:
        raise NotFoundError(
            f"no candidate of source {source!r} was trained in this home: materialise model/candidate first"
        )
    return candidate_directory(settings, source, data["fingerprint"])


def write_training_set(settings: Settings, record: TrainingSetRecord) -> None:
    """Set the rows of the source's next training."""
    _write(settings.candidates / record.source / "training_set.json", asdict(record))


def read_training_set_record(settings: Settings, source: str) -> TrainingSetRecord:
    """The rows of the next training; raises NotFoundError if none are set."""
    data = _read(settings.candidates / source / "training_set.json")
    if data is None:
        raise NotFoundError(
            f"no training set of source {source!r} in this home: `loanlake run {source}`, or materialise "
            "training/training_set first"
        )
    return TrainingSetRecord(**data)


def named_snapshots(settings: Settings) -> list[tuple[int, str]]:
    """Lake snapshots of the next steps' training sets, and their sources."""
    found = []
    for path in sorted(settings.candidates.glob("*/training_set.json")):
        record = TrainingSetRecord(**_read(path))
        found.append((record.snapshot, f"the next training of {record.source}"))
    for path in sorted(settings.candidates.glob("*/current")):
        source = path.parent.name
        lineage = _read(current_candidate(settings, source).bundle / "lineage.json")
        if lineage is not None:
            found.append((int(lineage["lake_snapshot"]), f"the candidate of {source}"))
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _write(path: Path, content: Any) -> None:
    replace_file(path, json.dumps(content, indent=2) + "\n")
