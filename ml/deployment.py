"""What is served: published bundles, ``deployment.json``, promotion, rollback, and a challenger beside the champion.

``deployment.json`` is the one truth, replaced atomically; it carries the deployments under it as a chain, so a
rollback needs no other file. ``history.jsonl`` beside it is for people: who changed what when. The API reads the
file; it never asks MLflow, whose aliases follow the deployment and not the other way round.

A challenge is of one version against one champion: it ends when it is ended, and when the champion changes.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ml.built_features import fetch_built
from ml.bundle import Bundle, copy_bundle, load_bundle
from warehouse.errors import BundleError, GateRefusal, NotFoundError, SettingError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.registry import RegisteredVersion

#: Deployments remembered under the one served; older ones stay in the history and can be promoted again.
_ROLLBACKS = 20

Mode = Literal["shadow", "ab"]
Action = Literal["publish", "rollback", "challenge", "end_challenge"]


@dataclass(frozen=True)
class Deployment:
    """One model version being served; ``bundle`` is relative to the home, ``published_at`` ISO 8601 in UTC.

    ``challenger``: another version of the same model tried beside it.
    """

    source: str
    model_name: str
    model_version: int
    feature_version: str
    bundle: str
    published_at: str
    published_by: str
    challenger: "Challenger | None" = None
    previous: "Deployment | None" = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Deployment":
        """The inverse of :meth:`to_dict`, also of a file from before there were challengers.

        Raises KeyError, TypeError or ValueError where a field is missing, unknown or cannot be.
        """
        previous, challenger = data["previous"], data.get("challenger")
        return cls(
            **{
                **data,
                "challenger": Challenger.from_dict(challenger) if challenger else None,
                "previous": cls.from_dict(previous) if previous else None,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what ``deployment.json`` holds."""
        return asdict(self)

    def bundle_directory(self, settings: Settings) -> Path:
        """Where the bundle lies under this home."""
        return settings.home / self.bundle

    def is_version(self, model_name: str, model_version: int) -> bool:
        """Whether this is that version of that model."""
        return (self.model_name, self.model_version) == (model_name, model_version)


@dataclass(frozen=True)
class Challenger:
    """A version on trial; its ``published_at`` and ``published_by`` say when and by whom the trial was begun.

    ``shadow``: it scores every application off the answer path, and nobody is told. ``ab``: it answers a ``share`` of
    the applicants, in (0, 1), always the same ones.
    """

    mode: Mode
    share: float | None
    deployment: Deployment

    def __post_init__(self) -> None:
        is_share = isinstance(self.share, float | int) and 0 < self.share < 1
        if self.mode not in ("shadow", "ab") or is_share is not (self.mode == "ab"):
            raise SettingError(
                "a challenger runs in shadow, or answers a share of the applicants within (0, 1): "
                f"found mode {self.mode!r} and share {self.share!r}"
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Challenger":
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**data, "deployment": Deployment.from_dict(data["deployment"])})

    @property
    def name(self) -> str:
        """How people and this module's messages call it, and in which mode it runs."""
        how = "in shadow" if self.share is None else f"answering {self.share:.4g} of the applicants"
        return f"{self.deployment.model_name} version {self.deployment.model_version}, {how}"


@dataclass(frozen=True)
class Change:
    """One line of the deployment history: what was served after it, without the chain below."""

    action: Action
    at: str
    by: str
    deployment: Deployment


def read_deployment(settings: Settings) -> Deployment | None:
    """What is served now, or None when nothing was ever published. Raises BundleError on an unreadable file."""
    try:
        text = settings.deployment.read_text()
    except FileNotFoundError:
        return None
    try:
        return Deployment.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError, SettingError) as error:
        raise BundleError(
            f"{settings.deployment} must hold one deployment: {error!r}; promote a version again to replace it"
        ) from error


def read_history(settings: Settings) -> list[Change]:
    """Every change of what is served, oldest first."""
    if not settings.deployment_history.exists():
        return []
    changes = []
    for line in settings.deployment_history.read_text().splitlines():
        entry = json.loads(line)
        action, at, by = entry.pop("action"), entry.pop("at", None), entry.pop("by", None)
        found = Deployment.from_dict({**entry, "previous": None})
        changes.append(Change(action, at or found.published_at, by or found.published_by, found))
    return changes


def bundle_directory(settings: Settings, model_name: str, model_version: int) -> Path:
    """Where a model version's published bundle lies, whether or not it is there."""
    return settings.bundles / model_name / str(model_version)


def publish(
    bundle: Bundle, settings: Settings, *, source: str, model_name: str, model_version: int, by: str
) -> Deployment:
    """Copy the bundle into the home and serve it from now on; returns what is served.

    Publishing what is served already changes nothing. Raises BundleError when another bundle lies at that version.
    """
    directory = bundle_directory(settings, model_name, model_version)
    copy_bundle(bundle, directory)
    with _turn(settings):
        current = read_deployment(settings)
        if current is not None and current.is_version(model_name, model_version):
            return current
        deployment = Deployment(
            source=source,
            model_name=model_name,
            model_version=model_version,
            feature_version=bundle.feature_version,
            bundle=str(directory.relative_to(settings.home)),
            published_at=_now(),
            published_by=by,
            previous=_shortened(current, _ROLLBACKS),
        )
        _serve(settings, deployment, action="publish", by=by)
    return deployment


def promote(settings: Settings, version: int, *, source: str | None = None, by: str) -> Deployment:
    """Serve a registered version and make it MLflow's champion; works while the API runs.

    ``source`` defaults to the active one. Raises NotFoundError for a version that is not registered, GateRefusal with
    each reason when its gates refused it, and ContractError when the dbt project no longer builds its features.
    """
    from ml.registry import get_version, set_champion

    source = source or settings.active_source()
    found = get_version(settings, source, version)
    _require_passed(found)
    bundle = fetch_built(settings, found)
    deployment = publish(bundle, settings, source=source, model_name=found.name, model_version=version, by=by)
    set_champion(settings, found.name, version)
    return deployment


def rollback(settings: Settings, *, by: str) -> Deployment:
    """Serve again what was served before the current deployment, features included, and move MLflow's alias back.

    A challenge against the current one ends. Rolling back twice goes back two deployments. Raises NotFoundError when
    there is nothing to go back to.
    """
    from ml.registry import set_champion

    with _turn(settings):
        current = read_deployment(settings)
        if current is None or current.previous is None:
            served = (
                "nothing" if current is None else f"{current.model_name} version {current.model_version}, the first"
            )
            raise NotFoundError(f"there is no earlier deployment to go back to: served now is {served}")
        load_bundle(current.previous.bundle_directory(settings))  # never serve a bundle that cannot be read
        deployment = replace(current.previous, published_at=_now(), published_by=by)
        _serve(settings, deployment, action="rollback", by=by)
    # last: an unreachable registry must not keep a bad model in service
    set_champion(settings, deployment.model_name, deployment.model_version)
    return deployment


def challenge(settings: Settings, version: int, *, share: float | None = None, by: str) -> Deployment:
    """Try a registered version beside the champion; it takes the place of another challenger. Works while the API runs.

    Without ``share`` it scores in shadow; with one, it answers that share of the applicants. It is MLflow's challenger
    then. Asking for what is so already changes nothing. Raises NotFoundError where nothing is served or no such version
    is registered, GateRefusal where its gates refused it, and SettingError where it is the champion itself.
    """
    from ml.registry import get_version, set_challenger

    champion = read_deployment(settings)
    if champion is None:
        raise NotFoundError("a challenger is tried beside a champion, and nothing is served: promote a version first")
    found = get_version(settings, champion.source, version)
    _require_passed(found)
    bundle = fetch_built(settings, found)
    deployment = start_challenge(settings, bundle, against=champion, model_version=version, share=share, by=by)
    set_challenger(settings, found.name, version)
    return deployment


def start_challenge(
    settings: Settings, bundle: Bundle, *, against: Deployment, model_version: int, share: float | None, by: str
) -> Deployment:
    """:func:`challenge` with a bundle at hand and without MLflow; raises also where the champion changed meanwhile."""
    directory = bundle_directory(settings, against.model_name, model_version)
    if against.is_version(against.model_name, model_version):
        raise SettingError(
            f"a challenger must be another version than the champion: found {against.model_name} version "
            f"{model_version}, which is served"
        )
    copy_bundle(bundle, directory)
    challenger = Challenger(
        mode="shadow" if share is None else "ab",
        share=share,
        deployment=Deployment(
            source=against.source,
            model_name=against.model_name,
            model_version=model_version,
            feature_version=bundle.feature_version,
            bundle=str(directory.relative_to(settings.home)),
            published_at=_now(),
            published_by=by,
        ),
    )
    with _turn(settings):
        current = read_deployment(settings)
        if current is None or not current.is_version(against.model_name, against.model_version):
            raise NotFoundError(
                f"the challenge was to be against {against.model_name} version {against.model_version}, which is no "
                "longer served: look at `loanlake status` and ask again"
            )
        running = current.challenger
        if running is not None and (running.name, running.mode) == (challenger.name, challenger.mode):
            return current
        deployment = replace(current, challenger=challenger)
        _serve(settings, deployment, action="challenge", by=by)
    return deployment


def end_challenge(settings: Settings, *, by: str) -> Deployment:
    """Let the champion answer alone again; its decisions stay. Raises NotFoundError where no challenge runs."""
    from ml.registry import drop_challenger

    with _turn(settings):
        current = read_deployment(settings)
        if current is None or current.challenger is None:
            raise NotFoundError("no challenge is running: `loanlake status` shows what is served")
        ended = current.challenger.deployment
        deployment = replace(current, challenger=None)
        _serve(settings, deployment, action="end_challenge", by=by)
    # last: an unreachable registry must not keep a bad model answering
    drop_challenger(settings, ended.model_name, ended.model_version)
    return deployment


def needed_by_challenger(settings: Settings, deployment: Deployment) -> tuple[str, ...]:
    """Request inputs that the challenger requires and the champion does not."""
    if deployment.challenger is None:
        return ()
    champion, challenger = (
        {
            column.name
            for column in load_bundle(each.bundle_directory(settings)).contract.inputs_of("request")
            if column.required
        }
        for each in (deployment, deployment.challenger.deployment)
    )
    return tuple(sorted(challenger - champion))


def _require_passed(found: "RegisteredVersion") -> None:
    if found.refused_by:
        reasons = "; ".join(found.gate_messages).rstrip(".") or "no message was recorded"
        raise GateRefusal(
            f"{found.name} version {found.version} was refused by {', '.join(found.refused_by)}: {reasons}. "
            "Train another version, or take one whose gates passed"
        )
    if found.archived:
        raise GateRefusal(
            f"{found.name} version {found.version} was archived, so its training rows may be gone: train another "
            "version, or take the tag `archived` from it in MLflow"
        )


def archive(settings: Settings, version: int, *, source: str | None = None) -> str:
    """Let go of a version: no rollback comes back to it, and maintenance may expire the snapshot it was trained on.

    Its bundle stays, so its decisions can still be replayed. Returns the model's name. Raises GateRefusal for a version
    that is served, here or as its source's champion, or is on trial.
    """
    from ml.registry import archive_version, get_version

    found = get_version(settings, source or settings.active_source(), version)
    with _turn(settings):
        current = read_deployment(settings)
        if current is not None and current.is_version(found.name, version):
            raise GateRefusal(f"{found.name} version {version} is served: promote another version first")
        challenger = current.challenger if current is not None else None
        if challenger is not None and challenger.deployment.is_version(found.name, version):
            raise GateRefusal(f"{found.name} version {version} is on trial: `loanlake challenge --end` first")
        archive_version(settings, found)
        if current is not None:
            _replace_file(
                settings.deployment, json.dumps(_without(current, found.name, version).to_dict(), indent=2) + "\n"
            )
    return found.name


def _without(deployment: Deployment, model_name: str, model_version: int) -> Deployment:
    """The chain without a version that lies under its first."""
    below = deployment.previous
    while below is not None and below.is_version(model_name, model_version):
        below = below.previous
    return replace(deployment, previous=_without(below, model_name, model_version) if below else None)


def _serve(settings: Settings, deployment: Deployment, *, action: Action, by: str) -> None:
    _replace_file(settings.deployment, json.dumps(deployment.to_dict(), indent=2) + "\n")
    entry = {"action": action, "at": _now(), "by": by, **deployment.to_dict()}
    del entry["previous"]
    with settings.deployment_history.open("a") as history:
        history.write(json.dumps(entry) + "\n")
        history.flush()
        os.fsync(history.fileno())


def _replace_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the rename itself must survive a power cut
    finally:
        os.close(descriptor)


@contextmanager
def _turn(settings: Settings) -> Iterator[None]:
    """One process at a time reads the deployment and replaces it."""
    settings.deployment.parent.mkdir(parents=True, exist_ok=True)
    with (settings.deployment.parent / "deployment.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _shortened(deployment: Deployment | None, length: int) -> Deployment | None:
    if deployment is None or length == 0:
        return None
    # a challenge is of the deployment's own time: going back does not begin it again
    return replace(deployment, challenger=None, previous=_shortened(deployment.previous, length - 1))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
