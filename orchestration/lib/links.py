"""Where the pages are that metadata links to: the ports of ``loanlake up``, or what the environment says."""

import os
from pathlib import Path
from urllib.parse import quote

from ml.registry.tracking import TRAINING_MODE
from warehouse.settings import Settings

MLFLOW_PORT, REPORTS_PORT = 5000, 8050


def mlflow_run(experiment_id: str, run_id: str) -> str:
    """MLflow's page of a run."""
    return f"{_base('LOANLAKE_MLFLOW_URL', MLFLOW_PORT)}/#/experiments/{experiment_id}/runs/{run_id}?{TRAINING_MODE}"


def mlflow_model(name: str, version: int) -> str:
    """MLflow's page of a registered model version."""
    return f"{_base('LOANLAKE_MLFLOW_URL', MLFLOW_PORT)}/#/models/{name}/versions/{version}?{TRAINING_MODE}"


def report(path: Path, settings: Settings) -> str:
    """The page of a report under the home's reports directory."""
    return f"{_base('LOANLAKE_REPORTS_URL', REPORTS_PORT)}/{quote(path.relative_to(settings.reports).as_posix())}"


def _base(variable: str, port: int) -> str:
    return os.environ.get(variable) or f"http://127.0.0.1:{port}"
