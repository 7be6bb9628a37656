"""What is served: published bundles, ``deployment.json``, promotion and rollback.

``deployment.json`` is the one truth, replaced atomically; it carries the deployments under it as a chain, so a
rollback needs no other file. ``history.jsonl`` beside it is for people: who published what when. The API reads the
file; it never asks MLflow, whose aliases follow the deployment and not the other way round.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ml.bundle import Bundle, copy_bundle, load_bundle
from warehouse.errors import BundleError, GateRefusal, NotFoundError
from warehouse.settings import Settings

#: Deployments remembered under the one served; older ones stay in the history and can be promoted again.
_ROLLBACKS = 20


@dataclass(frozen=True)
class Deployment:
    """One model version being served; ``bundle`` is relative to the home, ``published_at`` ISO 8601 in UTC."""

    source: str
    model_name: str
    model_version: int
    feature_version: str
    bundle: str
    published_at: str
    published_by: str
    previous: "Deployment | None" = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Deployment":
        """The inverse of :meth:`to_dict`; raises KeyError or TypeError where a field is missing or unknown."""
        previous = data["previous"]
        return cls(**{**data, "previous": cls.from_dict(previous) if previous else None})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what ``deployment.json`` holds."""
        return asdict(self)

    def bundle_directory(self, settings: Settings) -> Path:
        """Where the bundle lies under this home."""
        return settings.home / self.bundle

    def is_version(self, model_name: str, model_version: int) -> bool:
        """Whether this is that version of that model."""
        return (self.model_name, self.model_version) == (model_name, model_version)


def read_deployment(settings: Settings) -> Deployment | None:
    """What is served now, or None when nothing was ever published. Raises BundleError on an unreadable file."""
    try:
        text = settings.deployment.read_text()
    except FileNotFoundError:
        return None
    try:
        return Deployment.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{settings.deployment} must hold one deployment: {error!r}; promote a version again to replace it"
        ) from error


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
        _serve(settings, deployment, action="publish")
    return deployment


def promote(settings: Settings, version: int, *, source: str | None = None, by: str) -> Deployment:
    """Serve a registered version and make it MLflow's champion; works while the API runs.

    ``source`` defaults to the active one. Raises NotFoundError for a version that is not registered, and GateRefusal
    with each reason when its gates refused it.
    """
    from ml.registry import fetch_bundle, get_version, set_champion

    source = source or settings.active_source()
    found = get_version(settings, source, version)
    if found.refused_by:
        reasons = "; ".join(found.gate_messages) or "no message was recorded"
        raise GateRefusal(
            f"{found.name} version {version} was refused by {', '.join(found.refused_by)}: {reasons}. "
            "Train another version, or promote one whose gates passed"
        )
    if found.archived:
        raise GateRefusal(
            f"{found.name} version {version} was archived, so its training rows may be gone: train another version, or "
            "take the tag `archived` from it in MLflow"
        )
    bundle = fetch_bundle(settings, found)
    deployment = publish(bundle, settings, source=source, model_name=found.name, model_version=version, by=by)
    set_champion(settings, found.name, version)
    return deployment


def rollback(settings: Settings, *, by: str) -> Deployment:
    """Serve again what was served before the current deployment, features included, and move MLflow's alias back.

    Rolling back twice goes back two deployments. Raises NotFoundError when there is nothing to go back to.
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
        _serve(settings, deployment, action="rollback")
    # last: an unreachable registry must not keep a bad model in service
    set_champion(settings, deployment.model_name, deployment.model_version)
    return deployment


def archive(settings: Settings, version: int, *, source: str | None = None) -> str:
    """Let go of a version: no rollback comes back to it, and maintenance may expire the snapshot it was trained on.

    Its bundle stays, so its decisions can still be replayed. Returns the model's name. Raises GateRefusal for a version
    that is served, here or as its source's champion.
    """
    from ml.registry import archive_version, get_version

    found = get_version(settings, source or settings.active_source(), version)
    with _turn(settings):
        current = read_deployment(settings)
        if current is not None and current.is_version(found.name, version):
            raise GateRefusal(f"{found.name} version {version} is served: promote another version first")
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


def _serve(settings: Settings, deployment: Deployment, *, action: Literal["publish", "rollback"]) -> None:
    _replace_file(settings.deployment, json.dumps(deployment.to_dict(), indent=2) + "\n")
    entry = {"action": action, **replace(deployment, previous=None).to_dict()}
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
    return replace(deployment, previous=_shortened(deployment.previous, length - 1))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
