"""Models in MLflow: one experiment and one registered model a source, one run and one version a training.

MLflow is where people look at figures and plots and where versions get their numbers; what is served is decided by
:mod:`ml.deployment`. A version's tags carry its gates, so that a refusal can be read there too.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ml.bundle import Bundle, load_bundle
from ml.gates import GateResult
from ml.registered_version import RegisteredVersion, copy_versions
from ml.run_log import log_run
from ml.tracking import model_name, open_client, open_mlflow
from warehouse.errors import GateRefusal, NotFoundError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from ml.approval import Approval
    from ml.evaluation import Evaluation
    from ml.training_set import TrainingSet

CHAMPION, CHALLENGER = "champion", "challenger"
_FINGERPRINT, _REFUSED_BY, _GATE, _ARCHIVED = "fingerprint", "refused_by", "gate.", "archived"
_DIGEST, _FEATURE_VERSION, _SNAPSHOT = "bundle_digest", "feature_version", "lake_snapshot"
_OURS = {_FINGERPRINT, _REFUSED_BY, _SNAPSHOT}


def register(
    settings: Settings,
    bundle: Bundle,
    *,
    training_set: "TrainingSet",
    evaluation: "Evaluation",
    gates: Sequence[GateResult],
    plots: Mapping[str, bytes],
) -> RegisteredVersion:
    """Log a run and register its bundle; a training that was registered before gives its version again.

    Either way the version's tags say what ``gates`` decided now, and a version that passed and is not the champion is
    the challenger. ``plots``: PNG by name.
    """
    lineage = bundle.lineage
    found = find_version_by_fingerprint(settings, lineage.source, lineage.fingerprint)
    if found is None:
        run_id, model_uri = log_run(settings, bundle, training_set=training_set, evaluation=evaluation, plots=plots)
        version = _create_version(settings, bundle, run_id=run_id, model_uri=model_uri, gates=gates)
    else:
        version, run_id = found.version, found.run_id
    _tag_gates(settings, model_name(lineage.source), version, run_id, gates)
    registered = get_version(settings, lineage.source, version)
    if registered.passed and CHAMPION not in registered.aliases:
        open_client(settings).set_registered_model_alias(registered.name, CHALLENGER, str(version))
    if not registered.passed and CHALLENGER in registered.aliases:
        open_client(settings).delete_registered_model_alias(registered.name, CHALLENGER)
    copy_for_api(settings, lineage.source)
    return get_version(settings, lineage.source, version)


def find_version_by_fingerprint(settings: Settings, source: str, fingerprint: str) -> RegisteredVersion | None:
    """The version that the same training set, contract and settings made before, the newest if there are several."""
    found = [version for version in list_versions(settings, source) if version.fingerprint == fingerprint]
    return found[-1] if found else None


def list_versions(settings: Settings, source: str) -> list[RegisteredVersion]:
    """All versions of a source's model that were registered here, oldest first; none where nothing was.

    One that somebody registered in MLflow by hand was never judged, and is left out.
    """
    client, name = open_client(settings), model_name(source)
    versions = client.search_model_versions(f"name = '{name}'")
    # a search leaves the versions' own list of aliases empty
    aliases = client.get_registered_model(name).aliases if versions else {}
    ours = [version for version in versions if version.tags.keys() >= _OURS]
    return sorted((_read(version, source, aliases) for version in ours), key=lambda found: found.version)


def copy_for_api(settings: Settings, source: str) -> None:
    """Bring the copy of a source's versions in the home, which the API reads, up to the registry."""
    copy_versions(settings, source, list_versions(settings, source))


def list_all_versions(settings: Settings) -> list[RegisteredVersion]:
    """All versions of all sources' models."""
    models = open_client(settings).search_registered_models()
    sources = sorted(model.tags["source"] for model in models if "source" in model.tags)
    return [version for source in sources for version in list_versions(settings, source)]


def registry_exists(settings: Settings) -> bool:
    """Whether anything can have been registered."""
    return settings.mlflow_database.exists()


def archive_version(settings: Settings, version: RegisteredVersion) -> None:
    """Mark a version as not needed any more; it stops being the challenger. The champion cannot be archived."""
    if CHAMPION in version.aliases:
        raise GateRefusal(f"{version.name} version {version.version} is the champion: promote another version first")
    client = open_client(settings)
    for alias in version.aliases:
        client.delete_registered_model_alias(version.name, alias)
    client.set_model_version_tag(version.name, str(version.version), _ARCHIVED, datetime.now(UTC).isoformat())
    copy_for_api(settings, version.source)


def tag_approval(settings: Settings, approval: "Approval") -> None:
    """Show in MLflow who approved a version, why, and which gates they overrode."""
    client = open_client(settings)
    tags = {"approved_by": approval.by, "approved_at": approval.at, "approval_reason": approval.reason}
    for name, value in (tags | {"overridden": ", ".join(approval.overridden)}).items():
        client.set_model_version_tag(approval.model_name, str(approval.model_version), name, value)


def get_version(settings: Settings, source: str, version: int) -> RegisteredVersion:
    """One version; raises NotFoundError naming those that exist."""
    versions = list_versions(settings, source)
    for found in versions:
        if found.version == version:
            return found
    existing = ", ".join(str(found.version) for found in versions) or "none"
    raise NotFoundError(
        f"{model_name(source)} has no version {version}: it has {existing}; "
        "`loanlake status` shows the versions, LOANLAKE_SOURCE or --source picks another lender's model"
    )


def note_changed_bundles(settings: Settings, digests: Mapping[str, str]) -> None:
    """Tag the versions of bundles that were rewritten with their new digests; ``digests``: before → after."""
    if not digests or not registry_exists(settings):
        return
    client = open_client(settings)
    for version in list_all_versions(settings):
        if version.bundle_digest in digests:
            after = digests[version.bundle_digest]
            client.set_model_version_tag(version.name, str(version.version), _DIGEST, after)
            client.set_tag(version.run_id, _DIGEST, after)


def set_champion(settings: Settings, name: str, version: int) -> None:
    """Move the alias ``champion`` to a version; it stops being the challenger."""
    client = open_client(settings)
    client.set_registered_model_alias(name, CHAMPION, str(version))
    challenger = client.get_registered_model(name).aliases.get(CHALLENGER)
    if challenger is not None and int(challenger) == version:
        client.delete_registered_model_alias(name, CHALLENGER)


def set_challenger(settings: Settings, name: str, version: int) -> None:
    """Move the alias ``challenger`` to a version."""
    open_client(settings).set_registered_model_alias(name, CHALLENGER, str(version))


def drop_challenger(settings: Settings, name: str, version: int) -> None:
    """Take the alias ``challenger`` from a version; another one's is left alone."""
    client = open_client(settings)
    if int(client.get_registered_model(name).aliases.get(CHALLENGER, 0)) == version:
        client.delete_registered_model_alias(name, CHALLENGER)


def fetch_bundle(settings: Settings, version: RegisteredVersion) -> Bundle:
    """The bundle of a registered version, as MLflow keeps it; raises BundleError where it was changed."""
    mlflow = open_mlflow(settings)
    location = open_client(settings).get_model_version_download_uri(version.name, str(version.version))
    model = Path(mlflow.artifacts.download_artifacts(_in_this_home(settings, location)))
    flavor = mlflow.models.Model.load(str(model)).flavors["python_function"]
    return load_bundle(model / flavor["artifacts"]["bundle"]["path"])


def _in_this_home(settings: Settings, location: str) -> str:
    """The location, or where it is now if the home was moved since: MLflow remembers artifacts by their whole path."""
    place, _, artifact = location.partition(f"/{settings.mlflow_artifacts.relative_to(settings.home)}/")
    if place.startswith("file:") and artifact:
        return (settings.mlflow_artifacts / unquote(artifact)).as_uri()
    return location


def _create_version(
    settings: Settings, bundle: Bundle, *, run_id: str, model_uri: str, gates: Sequence[GateResult]
) -> int:
    """A version with all its tags in one step: none is ever there whose refusal is not."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

    lineage, client = bundle.lineage, open_client(settings)
    name = model_name(lineage.source)
    try:
        client.create_registered_model(
            name, tags={"source": lineage.source}, description=f"Probability of default, {lineage.source}."
        )
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    tags = {
        _FINGERPRINT: lineage.fingerprint,
        _DIGEST: bundle.digest,
        _FEATURE_VERSION: lineage.feature_version,
        _SNAPSHOT: str(lineage.lake_snapshot),
        **_gate_tags(gates),
    }
    created = client.create_model_version(name, source=model_uri, run_id=run_id, tags=tags)
    return int(created.version)


def _tag_gates(settings: Settings, name: str, version: int, run_id: str, gates: Sequence[GateResult]) -> None:
    client = open_client(settings)
    for key, value in _gate_tags(gates).items():
        client.set_model_version_tag(name, str(version), key, value)
        client.set_tag(run_id, key, value)


def _gate_tags(gates: Sequence[GateResult]) -> dict[str, str]:
    """Each gate's word, refusals first: a version whose tags are written anew never passes before it is refused."""
    refused = ", ".join(gate.gate for gate in gates if not gate.passed)
    tags = {f"{_GATE}{gate.gate}": ("passed" if gate.passed else f"refused: {gate.message}") for gate in gates}
    return {_REFUSED_BY: refused, **tags} if refused else {**tags, _REFUSED_BY: refused}


def _read(version: "ModelVersion", source: str, aliases: Mapping[str, str]) -> RegisteredVersion:
    tags: dict[str, Any] = version.tags
    refused_by = tuple(name for name in tags.get(_REFUSED_BY, "").split(", ") if name)
    return RegisteredVersion(
        source=source,
        name=version.name,
        version=int(version.version),
        feature_version=tags.get(_FEATURE_VERSION, ""),
        run_id=str(version.run_id),
        fingerprint=tags.get(_FINGERPRINT, ""),
        bundle_digest=tags.get(_DIGEST, ""),
        passed_gates=tuple(sorted(name.removeprefix(_GATE) for name, value in tags.items() if _passed(name, value))),
        refused_by=refused_by,
        gate_messages=tuple(tags.get(f"{_GATE}{name}", "").removeprefix("refused: ") for name in refused_by),
        lake_snapshot=int(tags[_SNAPSHOT]),
        created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        archived=_ARCHIVED in tags,
        aliases=tuple(sorted(alias for alias, number in aliases.items() if int(number) == int(version.version))),
    )


def _passed(tag: str, value: str) -> bool:
    return tag.startswith(_GATE) and value == "passed"
