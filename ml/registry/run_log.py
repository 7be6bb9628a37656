"""One training as one MLflow run: settings, figures, plots, data origin, and the bundle as a model."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import requires, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from ml.bundle import pyfunc_signature
from ml.bundle.bundle import Bundle
from ml.registry.tracking import open_experiment, open_mlflow
from ml.training.fitting import TrainingSettings
from ml.training.training_set import TrainingSet, training_table
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.judging.evaluation import Evaluation

_MODEL_CODE = Path(pyfunc_signature.__file__).with_name("pyfunc_model.py")


def log_run(
    settings: Settings,
    bundle: Bundle,
    *,
    training_set: TrainingSet,
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
        logged = mlflow.pyfunc.log_model(
            name="bundle",
            python_model=str(_MODEL_CODE),
            artifacts={"bundle": str(bundle.directory)},
            signature=pyfunc_signature.signature(),
            input_example=pyfunc_signature.input_example(bundle),
            # inferring them would import and run the model in another process for half a minute
            pip_requirements=exact_requirements(),
            metadata={"feature_version": bundle.feature_version, "bundle_digest": bundle.digest},
        )
    return str(run.info.run_id), str(logged.model_uri)


def exact_requirements() -> list[str]:
    """Loanlake and its requirements in the installed versions, which trained the model.

    Pip must find the wheel of that version (``--find-links``): see docs/decisions/0030.
    """
    named = [Requirement(line) for line in requires("loanlake") or ()]
    needed = [each.name for each in named if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [f"{name}=={version(name)}" for name in ("loanlake", *needed)]


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
    return {**tags, "bundle_digest": bundle.digest}


def _dataset(training_set: TrainingSet, bundle: Bundle) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    dataset: Any = MetaDataset  # abstract in name only
    origin: dict[str, Any] = {
        "sql": training_set.statement,
        "lake_snapshot": training_set.snapshot,
        "sha256": training_set.sha256,
        "rows": bundle.lineage.rows,
    }
    return dataset(
        source=CodeDatasetSource(tags=origin),
        name=f"{training_table(training_set.feature_version)} at {training_set.snapshot}",
        digest=training_set.sha256[:36],  # MLflow keeps 36 characters
        schema=pyfunc_signature.features_schema(bundle.contract),
    )
