"""MLflow with a home's store; imported only where needed, since the import takes 9 s."""

import logging
import os
from typing import TYPE_CHECKING, Any

from warehouse.settings import Settings
from warehouse.team import make_schemas, object_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Disables MLflow's usage reports; MLflow reads it on import.
SILENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
#: MLflow's experiment list for trained models; by default its pages start with language models.
TRAINING_MODE = "workflowType=machine_learning"
TRAINING_PAGE = f"/#/experiments?{TRAINING_MODE}"
#: Lower levels (each migration of a new store, each artifact) hide what a user should see.
_QUIET = {"mlflow": logging.WARNING, "alembic": logging.WARNING, "mlflow.utils.environment": logging.ERROR}


#: Makes MLflow show the runs of an experiment, not traces of language models.
_KIND = {"mlflow.experimentKind": "custom_model_development"}


def open_mlflow(settings: Settings) -> Any:
    """The ``mlflow`` module, tracking to this home's store, which is created if missing."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
    if settings.catalog is None:
        settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    else:
        make_schemas(settings)
    if (address := object_store.endpoint()) is not None:
        os.environ.setdefault("MLFLOW_S3_ENDPOINT_URL", address)

    import mlflow

    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    mlflow.set_tracking_uri(settings.mlflow_uri)
    mlflow.set_registry_uri(settings.mlflow_uri)
    return mlflow


def open_client(settings: Settings) -> "MlflowClient":
    """A client of this home's store and registry."""
    mlflow = open_mlflow(settings)
    client: MlflowClient = mlflow.MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    return client


def model_name(source: str) -> str:
    """The registered model of a source, and its experiment."""
    return f"default_risk_{source}"


def open_experiment(settings: Settings, source: str) -> str:
    """The id of the source's experiment, created if missing."""
    client = open_client(settings)
    name = model_name(source)
    location = f"{settings.mlflow_artifact_root}/{name}"
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.artifact_location == location or not found.artifact_location.startswith("file:"):
            return str(found.experiment_id)
        # the home was copied or moved: new runs must not go to the old place
        moved = f"{name} (experiment {found.experiment_id}, before the home moved)"
        client.rename_experiment(found.experiment_id, moved)
    return str(client.create_experiment(name, artifact_location=location, tags={"source": source, **_KIND}))
