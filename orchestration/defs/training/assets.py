"""From training rows to a candidate: what it was made of, how good it is, and the version it became."""

import time

import dagster as dg

from orchestration.candidates import (
    CandidateDirectory,
    TrainingSetRecord,
    candidate_directory,
    current_candidate,
    read_training_set_record,
    set_current,
    write_training_set,
)
from orchestration.layers import CANDIDATE, EVALUATION, TRAINING_ROWS, TRAINING_SET
from orchestration.run_settings import RunSettings
from orchestration.upstream_checks import require_green
from warehouse.settings import Settings

_CHECKED_LAYERS = ("staging", "core", "features", "training")


@dg.asset(key=TRAINING_SET, deps=[TRAINING_ROWS], group_name="training", kinds={"python", "duckdb"})
def training_set(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult[None]:
    """The rows the next model learns from and is judged on: one source, one lake snapshot, one content hash.

    Refused while any blocking check upstream is not green, whichever run evaluated it.
    """
    from ml.training_set import SPLITS, read_training_set
    from warehouse.lake import connect

    settings = Settings.from_environment()
    n_checks = require_green(context, settings, upstream_of=TRAINING_SET, layers=_CHECKED_LAYERS)
    started, source = time.monotonic(), run_settings.active_source(settings)
    with connect(settings) as con:
        rows = read_training_set(con, source)
    write_training_set(settings, TrainingSetRecord(source, rows.snapshot, rows.sha256))

    sizes = {split: len(rows.rows(split)) for split in SPLITS}
    rates = {split: float(rows.defaulted(split).mean()) for split in SPLITS}
    table = ["| split | rows | default rate | decided from | to |", "| --- | ---: | ---: | --- | --- |"]
    for split in SPLITS:
        decided_at = rows.rows(split)["decided_at"]
        table.append(
            f"| {split} | {sizes[split]:,} | {rates[split]:.1%} | {decided_at.min():%Y-%m} | {decided_at.max():%Y-%m} |"
        )
    return dg.MaterializeResult(
        metadata={
            "summary": f"{len(rows.frame):,} rows ({', '.join(f'{split} {n:,}' for split, n in sizes.items())})",
            "dagster/row_count": len(rows.frame),
            "splits": dg.MetadataValue.md("\n".join(table)),
            "source": source,
            "read it again": dg.MetadataValue.md(f"```sql\n{rows.statement}\n```"),
            "content_sha256": rows.sha256,
            "lake_snapshot": rows.snapshot,
            "upstream_checks_green": n_checks,
            "seconds": round(time.monotonic() - started, 2),
        },
        data_version=dg.DataVersion(rows.sha256[:16]),
    )


@dg.asset(key=CANDIDATE, deps=[TRAINING_SET], group_name="model", kinds={"python", "xgboost"})
def candidate(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult[None]:
    """A trained, calibrated and measured model, bundled but not yet judged.

    Nothing is trained where a candidate of the same rows, feature contract and settings exists already.
    """
    from ml.lineage import training_fingerprint
    from ml.training import TrainingSettings
    from orchestration.training import feature_contract, train_candidate

    settings = Settings.from_environment()
    source, started = run_settings.active_source(settings), time.monotonic()
    record, contract = read_training_set_record(settings, source), feature_contract(settings)
    training_settings = TrainingSettings(exclude=tuple(run_settings.exclude))
    fingerprint = training_fingerprint(record.sha256, contract, training_settings)
    directory = candidate_directory(settings, source, fingerprint)

    existed = directory.bundle.exists() and not run_settings.force_training
    if not existed:
        context.log.info(f"training on {record}")
        train_candidate(settings, record, contract, training_settings, directory, manifest=settings.dbt_target / "manifest.json")
    set_current(settings, source, directory)
    return dg.MaterializeResult(
        metadata={
            **_bundle_metadata(directory),
            "summary": _candidate_summary(directory, existed=existed),
            "trained": "an earlier run, from the same rows, features and settings" if existed else "this run",
            "seconds": round(time.monotonic() - started, 2),
        },
        data_version=dg.DataVersion(fingerprint[:16]),
    )
