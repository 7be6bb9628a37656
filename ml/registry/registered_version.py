"""A registered version of a source's model: the home's record of it and its bundle.

The record (``deployment/<source>/versions.json``) and the bundle (``bundles/<model>/<version>``) decide what may be
served: the version's content, gate results, and whether it was archived. MLflow only displays them; nothing is read
back, since anyone who reaches its port can change it. Bundles that are served or replayed come from
:func:`load_registered`.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from ml.bundle.bundle import Bundle, copy_bundle, load_bundle
from ml.registry.deployment import Deployment, bundle_directory, now
from warehouse.errors import BundleError, ContractError, NotFoundError
from warehouse.features.manifest import versions_of
from warehouse.files.replacing import replace_file
from warehouse.lake.feature_tables import FEATURES_MODEL, TRAINING_MODEL
from warehouse.settings import Settings
from warehouse.team import fresh, push, shared_turn


@dataclass(frozen=True, kw_only=True)
class RegisteredVersion:
    """A version of a source's model; ``refused_by`` names the gates that refused it, ``gate_messages`` says why.

    ``digests``: of its bundle, oldest first; an erasure adds one. ``lake_snapshot`` holds its training set;
    ``archived``: no longer needed, so the snapshot may expire.
    """

    source: str
    name: str
    version: int
    feature_version: str
    run_id: str
    fingerprint: str
    digests: tuple[str, ...]
    passed_gates: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()
    gate_messages: tuple[str, ...] = ()
    lake_snapshot: int
    created_at: datetime
    archived: bool = False

    @classmethod
    def of_bundle(cls, bundle: Bundle, *, name: str, version: int, run_id: str = "") -> Self:
        """A version just trained, which no gate has judged yet."""
        lineage = bundle.lineage
        return cls(
            source=lineage.source,
            name=name,
            version=version,
            feature_version=lineage.feature_version,
            run_id=run_id,
            fingerprint=lineage.fingerprint,
            digests=(bundle.digest,),
            lake_snapshot=lineage.lake_snapshot,
            created_at=datetime.now(UTC),
        )

    @property
    def passed(self) -> bool:
        """Whether no gate refused it."""
        return not self.refused_by

    @property
    def bundle_digest(self) -> str:
        """The digest of its bundle as it is now."""
        return self.digests[-1]


def read_versions(settings: Settings) -> list[RegisteredVersion]:
    """All versions, oldest first per source; raises BundleError naming an unreadable file."""
    fresh(settings)
    return [version for lender in settings.recorded_lenders() for version in list_versions(settings, lender)]


def list_versions(settings: Settings, source: str) -> list[RegisteredVersion]:
    """The versions of a source's model, oldest first; none if nothing was registered."""
    fresh(settings)
    return _listed(settings, source)


def _listed(settings: Settings, source: str) -> list[RegisteredVersion]:
    path = settings.versions(source)
    return _read(path) if path.exists() else []


def get_version(settings: Settings, source: str, version: int) -> RegisteredVersion:
    """One version; raises NotFoundError naming those that exist."""
    versions = list_versions(settings, source)
    for found in versions:
        if found.version == version:
            return found
    existing = ", ".join(str(found.version) for found in versions) or "none"
    raise NotFoundError(
        f"the model of {source!r} has no version {version}: registered are {existing}; "
        "`loanlake status` shows the versions, LOANLAKE_DEFAULT_LENDER or --lender picks another lender's model"
    )


def keep_version(settings: Settings, version: RegisteredVersion, bundle: Bundle) -> None:
    """Record a new version and keep its bundle; raises BundleError if the home has another under that number."""
    known = [each for each in list_versions(settings, version.source) if each.version == version.version]
    if known and known[0].fingerprint != version.fingerprint:
        raise BundleError(
            f"{version.name} version {version.version} must be a new number: this home has registered another training "
            "under it, so MLflow's store is not the one it was registered in; restore both from the same backup"
        )
    directory = bundle_directory(settings, version.name, version.version)
    copy_bundle(bundle, directory)
    push(settings, directory)
    record_version(settings, version)


def record_version(settings: Settings, version: RegisteredVersion) -> None:
    """Record a version, replacing its earlier record."""
    with _record_turn(settings, version.source):
        others = [each for each in _listed(settings, version.source) if each.version != version.version]
        _write(settings, version.source, [*others, version])


def note_changed_bundle(settings: Settings, before: str, after: str) -> None:
    """Accept another digest of the versions that have this one, before their bundles are rewritten.

    The old digest stays accepted: a killed erasure leaves some copies unchanged.
    """
    for source in {version.source for version in read_versions(settings) if before in version.digests}:
        with _record_turn(settings, source):
            versions = _listed(settings, source)
            for place, version in enumerate(versions):
                if before in version.digests:
                    versions[place] = replace(version, digests=tuple(dict.fromkeys((*version.digests, after))))
            _write(settings, source, versions)


def load_registered(settings: Settings, source: str, version: int) -> Bundle:
    """The bundle of a registered version of a source's model, verified against the home's record.

    Raises NotFoundError for an unrecorded version, and BundleError for a missing or different bundle.
    """
    found = get_version(settings, source, version)
    bundle = load_bundle(bundle_directory(settings, found.name, version))
    if bundle.digest not in found.digests:
        raise BundleError(
            f"{bundle.directory} must hold the bundle that was registered as {found.name} version {version}, of digest "
            f"{found.bundle_digest[:12]}: found {bundle.digest[:12]}; it was changed since, restore it from a backup"
        )
    return bundle


def load_built(settings: Settings, version: RegisteredVersion) -> Bundle:
    """The bundle of a registered version, as :func:`load_registered` reads it.

    Raises ContractError if the last build of the feature tables lacks its features: it could not be compared with the
    next candidate, or score a batch. A home that only serves has no build and is not checked.
    """
    bundle, manifest = load_registered(settings, version.source, version.version), settings.dbt_target / "manifest.json"
    existing = tuple(map(str, versions_of(manifest))) if manifest.exists() else (bundle.feature_version,)
    if bundle.feature_version not in existing:
        raise ContractError(
            f"{version.name} version {version.version} needs {FEATURES_MODEL} {bundle.feature_version}, which the dbt "
            f"project no longer has (it has {', '.join(existing)}): bring "
            f"{FEATURES_MODEL}_{bundle.feature_version}.sql, {TRAINING_MODEL}_{bundle.feature_version}.sql and their "
            "entries in YAML back and run "
            "`loanlake run`, or promote a model of another version"
        )
    if manifest.exists() and (gone := bundle.contract.gone_from(manifest)):
        raise ContractError(
            f"{version.name} version {version.version} needs {', '.join(gone)}, which features "
            f"{bundle.feature_version} of the dbt project no longer have: bring their lines back and run `loanlake "
            "run`, or promote a model that does not use them"
        )
    return bundle


def deployment_of(settings: Settings, version: RegisteredVersion, *, by: str) -> Deployment:
    """A deployment of a registered version as of now, not yet served; raises as :func:`load_registered`."""
    bundle = load_registered(settings, version.source, version.version)
    return Deployment(
        source=version.source,
        model_name=version.name,
        model_version=version.version,
        feature_version=bundle.feature_version,
        bundle=str(bundle.directory.relative_to(settings.home)),
        published_at=now(),
        published_by=by,
    )


def _record_turn(settings: Settings, source: str) -> AbstractContextManager[None]:
    return shared_turn(settings, settings.versions(source).with_name("versions.lock"), settings.versions(source))


def _read(path: Path) -> list[RegisteredVersion]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[RegisteredVersion])
    except msgspec.MsgspecError as error:
        raise BundleError(
            f"{path} must hold the registered versions of a lender's model: {error}; restore it from a backup"
        ) from error


def _write(settings: Settings, source: str, versions: Iterable[RegisteredVersion]) -> None:
    ordered = sorted(versions, key=lambda version: version.version)
    replace_file(settings.versions(source), msgspec.json.format(msgspec.json.encode(ordered), indent=1).decode() + "\n")
