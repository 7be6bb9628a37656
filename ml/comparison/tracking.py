"""A comparison in MLflow: one run with the page and the plots, and a nested run for each model."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from ml.comparison.comparing import Comparison
from ml.comparison.figures import ModelFigures
from ml.judging.evaluation import BASE_RATE
from ml.registry.tracking import open_client, open_experiment, open_mlflow
from warehouse.settings import Settings

_PARENT = "mlflow.parentRunId"
_COMPARISON, _MODEL = "comparison_id", "comparison_model"


def log_comparison(settings: Settings, comparison: Comparison, plots: Mapping[str, bytes], page: Path) -> str:
    """Log a comparison; return the id of its run."""
    from mlflow.entities import Metric

    open_mlflow(settings)
    occasion, client = comparison.occasion, open_client(settings)
    experiment = open_experiment(settings, occasion.source)
    tags = {
        "source": occasion.source,
        _COMPARISON: occasion.comparison_id,
        "training_set_sha256": occasion.training_set_sha256,
        "split": occasion.split_kind,
        "folds": f"{occasion.fold_kind or 'none'}: {comparison.fold_reason}",
        "finding": comparison.finding,
    }
    name = f"comparison of {occasion.source} at snapshot {occasion.lake_snapshot}"
    parent = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    for row in comparison.models:
        if row.model == BASE_RATE:
            continue
        run_tags = {**tags, _PARENT: parent, _MODEL: row.model, "family": str(row.family)}
        run_id = client.create_run(experiment, run_name=f"{row.name} compared", tags=run_tags).info.run_id
        metrics = [Metric(figure, value, 0, 0) for figure, value in _metrics(row).items()]
        # one step a fold, so that MLflow charts them
        metrics += [
            Metric(f"fold_{figure}", float(value), 0, fold.number)
            for fold in comparison.folds
            if fold.model == row.model
            for figure, value in asdict(fold).items()
            if isinstance(value, float)
        ]
        client.log_batch(run_id, metrics=metrics)
        client.log_text(run_id, row.settings or "{}", "settings.json")
        client.set_terminated(run_id)
    with TemporaryDirectory() as directory:
        for plot, image in plots.items():
            path = Path(directory) / f"{plot}.png"
            path.write_bytes(image)
            client.log_artifact(parent, str(path), "plots")
    client.log_artifact(parent, str(page))
    client.set_terminated(parent)
    return str(parent)


def _metrics(row: ModelFigures) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in asdict(row).items()
        if isinstance(value, int | float) and name != "model_version"
    }
