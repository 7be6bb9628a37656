"""Models in MLflow: one experiment and one registered model per source, one run and one version per training.

MLflow numbers versions and displays figures, plots and gate results. Its tags, aliases and files decide nothing, since
anyone who reaches its port can change them; the home's record does (:mod:`ml.registry.registered_version`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from ml.bundle import pyfunc_signature
from ml.bundle.bundle import Bundle
from ml.judging.gate import GateResult
from ml.registry.deployment import read_deployment
from ml.registry.registered_version import RegisteredVersion, keep_version, list_versions, read_versions, record_version
from ml.registry.tracking import model_name, open_client, open_experiment, open_mlflow
from ml.training.fitting import TrainingSettings
from ml.training.training_set import training_table
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.judging.evaluation import Evaluation
    from ml.training.training_set import TrainingSet

CHAMPION, CHALLENGER = "champion", "challenger"
_MODEL_CODE = Path(pyfunc_signature.__file__).with_name("pyfunc_model.py")
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
        run_id, model_uri = _log_run(settings, bundle, training_set=training_set, evaluation=evaluation, plots=plots)
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
        "family": lineage.family,
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


def _log_run(
    settings: Settings,
    bundle: Bundle,
    *,
    training_set: "TrainingSet",
    evaluation: "Evaluation",
    plots: Mapping[str, bytes],
) -> tuple[str, str]:
    """Log a run; return its id and the model's URI for registration."""
    mlflow = open_mlflow(settings)
    lineage = bundle.lineage
    experiment = open_experiment(settings, lineage.source)
    name = f"{lineage.source} at snapshot {lineage.lake_snapshot}"
    with mlflow.start_run(experiment_id=experiment, run_name=name, tags=_tags(bundle)) as run:
        mlflow.log_params(TrainingSettings.from_dict(lineage.settings).to_params())
        mlflow.log_metrics({**evaluation.to_metrics(), "training_seconds": lineage.seconds})
        mlflow.log_dict(bundle.metrics, "evaluation.json")
        mlflow.log_dict(asdict(lineage), "lineage.json")
        mlflow.log_input(_dataset(training_set, bundle), context="training")
        with TemporaryDirectory() as directory:
            for plot, png in plots.items():
                path = Path(directory) / f"{plot}.png"
                path.write_bytes(png)
                mlflow.log_artifact(str(path), "plots")
        # what a family writes for people, such as a printed scorecard
        for name in bundle.family.files:
            if Path(name).suffix in {".html", ".csv"}:
                mlflow.log_artifact(str(bundle.directory / name), lineage.family)
        logged = mlflow.pyfunc.log_model(
            name="bundle",
            python_model=str(_MODEL_CODE),
            artifacts={"bundle": str(bundle.directory)},
            signature=pyfunc_signature.signature(),
            input_example=pyfunc_signature.input_example(bundle),
            # inferring them would import and run the model in another process for half a minute
            pip_requirements=_exact_requirements(),
            metadata={"feature_version": bundle.feature_version, "bundle_digest": bundle.digest},
        )
    return str(run.info.run_id), str(logged.model_uri)


def _exact_requirements() -> list[str]:
    """Loanlake and its requirements in the installed versions, which trained the model.

    Pip must find the wheel of that version (``--find-links``): see docs/decisions/0030.
    """
    named = [Requirement(line) for line in metadata.requires("loanlake") or ()]
    needed = [each.name for each in named if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [f"{name}=={metadata.version(name)}" for name in ("loanlake", *needed)]


def _tags(bundle: Bundle) -> dict[str, str]:
    lineage = asdict(bundle.lineage)
    named = (
        "source",
        "fingerprint",
        "lake_snapshot",
        "training_set_sha256",
        "feature_version",
        "contract_fingerprint",
        "dbt_manifest_sha256",
        "git_commit",
        "decided_from",
        "decided_to",
        "trained_by",
    )
    tags = {name: str(lineage[name]) for name in named if lineage[name] is not None}
    if bundle.lineage.family_choice is not None:
        tags["family_choice"] = bundle.lineage.family_choice.text
    return {**tags, "family": bundle.lineage.family, "bundle_digest": bundle.digest}


def _dataset(training_set: "TrainingSet", bundle: Bundle) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    dataset: Any = MetaDataset  # abstract in name only
    table = training_table(training_set.feature_version, exposures=training_set.has_exposures)
    origin: dict[str, Any] = {
        "sql": training_set.statement,
        "lake_snapshot": training_set.snapshot,
        "sha256": training_set.sha256,
        "rows": bundle.lineage.rows,
    }
    return dataset(
        source=CodeDatasetSource(tags=origin),
        name=f"{table} at {training_set.snapshot}",
        digest=training_set.sha256[:36],  # MLflow keeps 36 characters
        schema=pyfunc_signature.features_schema(bundle.contract),
    )
