"""Addresses of the pages that metadata links to: the ports of ``loanlake up``, or settings."""

from pathlib import Path
from urllib.parse import quote

from ml.registry.tracking import TRAINING_MODE
from warehouse.settings import PageUrls, Settings


def mlflow_run(experiment_id: str, run_id: str) -> str:
    """MLflow's page of a run."""
    return f"{PageUrls.from_environment().mlflow}/#/experiments/{experiment_id}/runs/{run_id}?{TRAINING_MODE}"


def mlflow_model(name: str, version: int) -> str:
    """MLflow's page of a registered model version."""
    return f"{PageUrls.from_environment().mlflow}/#/models/{name}/versions/{version}?{TRAINING_MODE}"


def report(path: Path, settings: Settings) -> str:
    """The page of a report under the home's reports directory."""
    return f"{PageUrls.from_environment().reports}/{quote(path.relative_to(settings.reports).as_posix())}"
