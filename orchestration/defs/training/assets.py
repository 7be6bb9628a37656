"""From training rows to a registered version: its rows, its figures and its gates."""

import json
import time
from typing import Any

import dagster as dg

from orchestration.defs.training.candidates import (
    CandidateDirectory,
    TrainingSetRecord,
    candidate_directory,
    current_candidate,
    read_training_set_record,
    set_current,
    write_training_set,
)
from orchestration.defs.training.model_page import family_text, write_model_page
from orchestration.defs.warehouse.assets import training_models, warehouse_models
from orchestration.defs.warehouse.checks import require_few_set_aside, rows_keep_the_contract
from orchestration.lib import links, pages
from orchestration.lib.feature_versions import training_tables
from orchestration.lib.layers import (
    CANDIDATE,
    EVALUATION,
    EXPOSURES,
    LAKE_WRITER,
    REGISTERED_MODEL,
    TRAINING,
    TRAINING_SET,
)
from orchestration.lib.lenders import LENDERS
from orchestration.lib.retries import other_runs_awaited
from orchestration.lib.run_settings import RunSettings
from orchestration.lib.upstream_checks import require_green
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


def upstream_checks() -> list[dg.AssetCheckSpec]:
    """Every check of a table that training rows are made from."""
    return [spec for step in (warehouse_models, training_models, rows_keep_the_contract) for spec in step.check_specs]


@dg.asset(
    key=TRAINING_SET,
    deps=[EXPOSURES, *training_tables().values()],
    partitions_def=LENDERS,
    group_name="training",
    kinds={"python", "duckdb"},
)
def training_set(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult[None]:
    """The rows for the lender's next model: one feature version, snapshot and content hash.

    Refused while a blocking check upstream is not green, whichever run evaluated it, or if too many of the lender's
    rows were set aside.
    """
    from ml.training.fitting import training_settings_of
    from ml.training.label_life import require_a_life
    from ml.training.training_set import SPLITS, read_training_set, split_reason
    from orchestration.lib.feature_versions import feature_contract
    from warehouse.lake.connection import connect

    settings, started = Settings.from_environment(), time.monotonic()
    source = context.partition_key
    with other_runs_awaited(context):
        n_checks = require_green(
            context.instance, settings, upstream_checks(), before="the training set", run_id=context.run.run_id
        )
    require_few_set_aside(settings, source, before="the training set")
    version = feature_contract(settings, run_settings.feature_version, source=source).version
    with connect(settings) as con:
        require_a_life(con, source)
        rows = read_training_set(
            con,
            source,
            feature_version=version,
            most_bytes=settings.training_bytes,
            exposures=training_settings_of(read_lender(source), family=run_settings.family).learns_from_open,
        )
        how_split = split_reason(con, source)
    write_training_set(
        settings, TrainingSetRecord(source, version, rows.snapshot, rows.sha256, exposures=rows.has_exposures)
    )

    of_splits = []
    for split in (*SPLITS, *(("open",) if len(rows.rows("open")) else ())):
        n, rate = len(rows.rows(split)), float(rows.defaulted(split).mean())
        decided_at = rows.rows(split)["decided_at"]
        of_splits.append([split, f"{n:,}", f"{rate:.1%}", f"{decided_at.min():%Y-%m}", f"{decided_at.max():%Y-%m}"])
    return dg.MaterializeResult(
        metadata={
            "summary": f"{len(rows.frame):,} rows: {', '.join(f'{name} {n}' for name, n, *_ in of_splits)}",
            "dagster/row_count": len(rows.frame),
            "splits": pages.table(["split", "rows", "default rate", "decided from", "to"], of_splits),
            "source": source,
            "how it is split": how_split,
            "features": version,
            "read it again": dg.MetadataValue.md(f"```sql\n{rows.statement}\n```"),
            "content_sha256": rows.sha256,
            "lake_snapshot": rows.snapshot,
            "upstream_checks_green": n_checks,
            "seconds": round(time.monotonic() - started, 2),
        },
        data_version=dg.DataVersion(rows.sha256[:16]),
    )


@dg.asset(
    key=CANDIDATE,
    deps=[TRAINING_SET],
    partitions_def=LENDERS,
    group_name="model",
    kinds={"python"},
    pool=TRAINING,
)
def candidate(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult[None]:
    """A trained, calibrated and measured model, bundled but not yet judged.

    Nothing is trained if a model with the same rows, feature contract and settings exists.
    """
    from ml.training.fitting import training_settings_of
    from ml.training.lineage import training_fingerprint
    from orchestration.defs.training.steps import is_trained, model_of_version, record_for, train_candidate
    from orchestration.lib.feature_versions import feature_contract

    settings, started, source = Settings.from_environment(), time.monotonic(), context.partition_key
    record = read_training_set_record(settings, source)
    contract = feature_contract(settings, record.feature_version, source=source)
    version = run_settings.refreshed_version
    training_settings = training_settings_of(
        read_lender(source),
        family=run_settings.family,
        exclude=tuple(run_settings.exclude),
        refreshed=model_of_version(settings, source, version) if version else None,
    )
    record = record_for(settings, record, training_settings)
    # the steps that follow read the same rows
    write_training_set(settings, record)
    fingerprint = training_fingerprint(record.sha256, contract, training_settings)
    directory = candidate_directory(settings, source, fingerprint)

    with directory.turn(context.log.info):
        is_known = is_trained(settings, source, directory) and not run_settings.force_training
        if not is_known:
            context.log.info(f"training on {record}")
            train_candidate(settings, record, contract, training_settings, directory)
    set_current(settings, source, directory)
    lineage = json.loads((directory.bundle / "lineage.json").read_text())
    return dg.MaterializeResult(
        metadata={
            "summary": _training_summary(directory, lineage, is_known=is_known),
            "family": family_text(lineage),
            "trained": "before, from the same rows, features and settings" if is_known else "in this run",
            "fingerprint": fingerprint,
            "feature_importance": pages.image(directory.read_plots()["feature_importance"], "feature importance"),
            "bundle": dg.MetadataValue.path(directory.bundle),
            "lineage": dg.MetadataValue.json(lineage),
            "seconds": round(time.monotonic() - started, 2),
        },
        data_version=dg.DataVersion(fingerprint[:16]),
    )


@dg.asset(key=EVALUATION, deps=[CANDIDATE], partitions_def=LENDERS, group_name="model", kinds={"python"}, pool=TRAINING)
def evaluation(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The candidate's figures on every split and month beside its baselines, and the gates' decisions.

    Gates are evaluated once per candidate. They are evaluated again if the lender changed a limit, or if the candidate
    was refused because of the deployed model, which may since have been fixed.
    """
    from ml.judging.metrics import candidate_on_test, measured_split
    from orchestration.defs.training.steps import is_judged, judge_candidate

    settings, started, source = Settings.from_environment(), time.monotonic(), context.partition_key
    directory = current_candidate(settings, source)
    judgement = directory.read_judgement()
    if judgement is None or not is_judged(source, directory):
        judgement = judge_candidate(settings, read_training_set_record(settings, source), directory)

    page = write_model_page(settings, source, directory, judgement)
    metrics = json.loads((directory.bundle / "metrics.json").read_text())
    test = candidate_on_test(metrics)
    n_refused = sum(not gate["passed"] for gate in judgement.gates)
    figures = ", ".join(
        f"{label} {test[name]:.4f}" for label, name in (("AUC", "auc"), ("KS", "ks"), ("Brier", "brier"))
    )
    return dg.MaterializeResult(
        metadata={
            "summary": f"test ({measured_split(metrics)}) {figures}; "
            + (f"{n_refused} of {len(judgement.gates)} gates refuse" if n_refused else "all gates passed"),
            "figures and plots": dg.MetadataValue.url(links.report(page, settings)),
            **{f"test_{name}": test[name] for name in ("auc", "gini", "ks", "brier", "ece", "log_loss")},
            **{name.replace("_", " "): pages.image(png, name) for name, png in directory.read_plots().items()},
            "by split": pages.table(pages.SPLIT_HEADER, pages.split_rows(metrics["measured"])),
            "confusion on test": pages.confusion(test),
            "seconds": round(time.monotonic() - started, 2),
        }
    )


@dg.asset(
    key=REGISTERED_MODEL,
    deps=[EVALUATION],
    partitions_def=LENDERS,
    group_name="model",
    kinds={"mlflow"},
    pool=LAKE_WRITER,
)
def registered_model(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The candidate as a version of its lender's model in MLflow, with the gates' decisions as tags.

    A refused candidate is registered too, so that its reasons can be read there; it cannot be deployed.
    """
    from orchestration.defs.training.steps import register_candidate

    settings, started, source = Settings.from_environment(), time.monotonic(), context.partition_key
    directory = current_candidate(settings, source)
    registration, judgement = directory.read_registration(), directory.read_judgement()
    is_known = registration is not None and judgement is not None
    if registration is None or judgement is None:
        registration = register_candidate(settings, read_training_set_record(settings, source), directory)
    name, version = registration["model_name"], registration["model_version"]
    return dg.MaterializeResult(
        metadata={
            "summary": f"{name} version {version}" + (", registered before" if is_known else ""),
            "model_version": version,
            "MLflow model": dg.MetadataValue.url(links.mlflow_model(name, version)),
            "MLflow run": dg.MetadataValue.url(links.mlflow_run(registration["experiment_id"], registration["run_id"])),
            "seconds": round(time.monotonic() - started, 2),
        }
    )


def _training_summary(directory: CandidateDirectory, lineage: dict[str, Any], *, is_known: bool) -> str:
    if is_known:
        registration = directory.read_registration()
        name = f"version {registration['model_version']}" if registration else "a refused candidate"
        return f"skipped: {name} was made of the same rows, features and settings"
    splits = ("train", "tune") if lineage["settings"]["refit"] else ("train",)
    n_rows, n_open = sum(lineage["rows"][split] for split in splits), lineage["rows"].get("open", 0)
    of_open = f", and {n_open:,} open loans," if n_open else ""
    return f"{n_rows:,} rows{of_open} learned from in {lineage['seconds']:.1f} s"
