"""Models in MLflow: one experiment and one registered model per source, one run and one version per training.

MLflow numbers versions and displays figures, plots and gate results. Its tags, aliases and files decide nothing, since
anyone who reaches its port can change them; the home's record does (:mod:`ml.registry.registered_version`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ml.bundle.bundle import Bundle
from ml.judging.gate import GateResult
from ml.registry.deployment import read_deployment
from ml.registry.registered_version import RegisteredVersion, keep_version, list_versions, read_versions, record_version
from ml.registry.run_log import log_run
from ml.registry.tracking import model_name, open_client
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.judging.evaluation import Evaluation
    from ml.training.training_set import TrainingSet

CHAMPION, CHALLENGER = "champion", "challenger"
_REFUSED_BY, _GATE, _ARCHIVED, _DIGEST = "refused_by", "gate.", "archived", "bundle_digest"


def register(
    settings: Settings,
    bundle: Bundle,
    *,
    training_set: "TrainingSet",
    evaluation: "Evaluation",
    gates: Sequence[GateResult],
    plots: Mapping[str, bytes],
) -> RegisteredVersion:
    """Log a run, register its bundle and record it; an already registered training returns its version.

    Either way the record, and the version's tags, get the new results of ``gates``. In MLflow a version that passed and
    is not the champion is the challenger. ``plots``: PNG by name.
    """
    lineage = bundle.lineage
    found = find_version_by_fingerprint(settings, lineage.source, lineage.fingerprint)
    if found is None:
        run_id, model_uri = log_run(settings, bundle, training_set=training_set, evaluation=evaluation, plots=plots)
        number = _create_version(settings, bundle, run_id=run_id, model_uri=model_uri, gates=gates)
        name = model_name(lineage.source)
        version = _judged(RegisteredVersion.of_bundle(bundle, name=name, version=number, run_id=run_id), gates)
        keep_version(settings, version, bundle)
    else:
        version = _judged(found, gates)
        record_version(settings, version)
    _show_gates(settings, version, gates)
    return version


def find_version_by_fingerprint(settings: Settings, source: str, fingerprint: str) -> RegisteredVersion | None:
    """The newest version of the same training set, contract and settings, or None."""
    found = [version for version in list_versions(settings, source) if version.fingerprint == fingerprint]
    return found[-1] if found else None


def tag_archived(settings: Settings, version: RegisteredVersion) -> None:
    """Show in MLflow whether a version is archived; an archived one loses the challenger alias."""
    client, number = open_client(settings), str(version.version)
    if version.archived:
        client.set_model_version_tag(version.name, number, _ARCHIVED, datetime.now(UTC).isoformat())
        drop_challenger(settings, version.name, version.version)
    else:
        client.delete_model_version_tag(version.name, number, _ARCHIVED)


def tag_changed_bundles(settings: Settings, digests: Mapping[str, str]) -> None:
    """Show the new digests of rewritten bundles; ``digests``: before → after.

    Skips versions deleted in MLflow: an erasure must not fail because of a display.
    """
    changed = [
        version
        for version in read_versions(settings)
        if version.run_id and not digests.keys().isdisjoint(version.digests)
    ]
    if not changed:
        return
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

    client = open_client(settings)
    for version in changed:
        try:
            client.set_model_version_tag(version.name, str(version.version), _DIGEST, version.bundle_digest)
            client.set_tag(version.run_id, _DIGEST, version.bundle_digest)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise


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
    """Remove the alias ``challenger`` if this version has it."""
    client = open_client(settings)
    if int(client.get_registered_model(name).aliases.get(CHALLENGER, 0)) == version:
        client.delete_registered_model_alias(name, CHALLENGER)


def _create_version(
    settings: Settings, bundle: Bundle, *, run_id: str, model_uri: str, gates: Sequence[GateResult]
) -> int:
    """Create a version with all its tags in one step, so that it never appears without its refusal."""
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
        "fingerprint": lineage.fingerprint,
        _DIGEST: bundle.digest,
        "feature_version": lineage.feature_version,
        "lake_snapshot": str(lineage.lake_snapshot),
        **_gate_tags(gates),
    }
    created = client.create_model_version(name, source=model_uri, run_id=run_id, tags=tags)
    return int(created.version)


def _judged(version: RegisteredVersion, gates: Sequence[GateResult]) -> RegisteredVersion:
    refused = [gate for gate in gates if not gate.passed]
    return replace(
        version,
        passed_gates=tuple(sorted(gate.gate for gate in gates if gate.passed)),
        refused_by=tuple(gate.gate for gate in refused),
        gate_messages=tuple(gate.message for gate in refused),
    )


def _show_gates(settings: Settings, version: RegisteredVersion, gates: Sequence[GateResult]) -> None:
    client, number = open_client(settings), str(version.version)
    for key, value in _gate_tags(gates).items():
        client.set_model_version_tag(version.name, number, key, value)
        client.set_tag(version.run_id, key, value)
    champion = read_deployment(settings, version.source)
    if not version.passed:
        drop_challenger(settings, version.name, version.version)
    elif champion is None or not champion.is_version(version.name, version.version):
        set_challenger(settings, version.name, version.version)


def _gate_tags(gates: Sequence[GateResult]) -> dict[str, str]:
    """Gate results as tags, refusals first: while tags are rewritten, the version never appears as passed."""
    refused = ", ".join(gate.gate for gate in gates if not gate.passed)
    tags = {f"{_GATE}{gate.gate}": f"{'passed' if gate.passed else 'refused'}: {gate.message}" for gate in gates}
    return {_REFUSED_BY: refused, **tags} if refused else {**tags, _REFUSED_BY: refused}
