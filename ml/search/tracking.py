"""A search in MLflow: one run with the plots, and a nested run for each trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ml.registry.tracking import open_client, open_experiment, open_mlflow
from ml.search.results import SearchResult, SearchTrial
from warehouse.settings import Settings

_PARENT = "mlflow.parentRunId"
_SEARCH, _TRIAL = "search_id", "search_trial"
_MOST_TRIALS = 5000


def log_search(settings: Settings, result: SearchResult, plots: Mapping[str, bytes]) -> tuple[str, str]:
    """Log the search, or what is new of it; return the ids of the experiment and of its run.

    What MLflow already has is found there by its tags, so a call that was killed logs nothing twice.
    """
    from mlflow.entities import Metric, Param

    open_mlflow(settings)
    experiment, client = open_experiment(settings, result.source), open_client(settings)
    tags = {"source": result.source, "family": result.family, "training_set_sha256": result.training_set_sha256}
    found = client.search_runs([experiment], f"tags.{_SEARCH} = '{result.search_id}'", max_results=1)
    if found:
        parent = found[0].info.run_id
    else:
        name = f"search of {result.family} at snapshot {result.lake_snapshot}"
        parent = client.create_run(experiment, run_name=name, tags={**tags, _SEARCH: result.search_id}).info.run_id
    children = client.search_runs([experiment], f"tags.`{_PARENT}` = '{parent}'", max_results=_MOST_TRIALS)
    # a run without an end was being written when its process was killed
    logged = {int(run.data.tags[_TRIAL]) for run in children if run.info.end_time is not None}
    for run in children:
        if run.info.end_time is None:
            client.delete_run(run.info.run_id)
    for trial in result.trials:
        if trial.number in logged:
            continue
        run_tags = {**tags, _PARENT: parent, _TRIAL: str(trial.number)}
        run_id = client.create_run(experiment, run_name=f"trial {trial.number}", tags=run_tags).info.run_id
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, 0, 0) for name, value in _metrics(trial).items()],
            params=[Param(name, f"{value:g}") for name, value in trial.values.items()],
        )
        client.set_terminated(run_id, status="KILLED" if trial.is_pruned else "FINISHED")
    best = result.best
    if best is not None:
        for name, value in _metrics(best).items():
            client.log_metric(parent, f"best_{name}", value)
        client.set_tag(parent, "best_trial", str(best.number))
    client.set_tag(parent, "finding", result.finding)
    client.set_tag(parent, "folds", f"{result.fold_kind}: {result.fold_reason}")
    with TemporaryDirectory() as directory:
        for plot, image in plots.items():
            path = Path(directory) / f"{plot}.png"
            path.write_bytes(image)
            client.log_artifact(parent, str(path), "plots")
    client.set_terminated(parent)
    return experiment, str(parent)


def _metrics(trial: SearchTrial) -> dict[str, float]:
    found = {name: trial.mean(name) for name in ("log_loss", "auc", "brier", "excess_ece", "psi")}
    found["log_loss_spread"] = trial.log_loss_spread
    found["n_features"] = float(trial.n_features)
    found["processor_seconds"] = trial.processor_seconds
    return {name: value for name, value in found.items() if not math.isnan(value)}
