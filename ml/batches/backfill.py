"""Score applications lake-to-lake: feature rows in, rows of ``serving.predictions`` out, with the API's scorer.

dbt computes the features; the promotion gate compares them with the online ones to the bit. A batch decision therefore
replays from its row like any other. Memory holds one Arrow batch at a time, and the writer lease covers only the
insert.
"""

import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from ml.bundle.bundle import Bundle
from ml.bundle.feature_rows import offline_columns, offline_frame
from ml.bundle.scorer import Scorer
from ml.registry.deployment import Deployment
from ml.registry.registered_version import load_registered
from ml.training.lineage import Lineage
from ml.training.policy import DECISION_WORDS
from ml.training.training_set import training_table
from warehouse.decision_log.features import declare_features, features_table
from warehouse.files.patterns import parquet
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lake.tables import arrow_schema, program_tables
from warehouse.lake.training_rows import rows_at
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000
_TABLE = "serving.predictions"
_NAMESPACE = uuid.UUID("9f0a7d1e-6f1b-5d0c-9a55-1f2a4f3c7b60")  # arbitrary constant: our namespace
_FLOATS = ("double", "float")


@dataclass(frozen=True)
class BatchCounts:
    """``n_found``: applications not yet decided by this model version; ``n_scored``: rows that the insert added.

    Of those found, ``n_declined`` and ``n_referred`` were not approved.
    """

    n_found: int
    n_scored: int
    n_declined: int
    n_referred: int
    n_without_history: int
    since: datetime
    seconds: float


def batch_decision_id(model_name: str, model_version: int, application_id: str) -> str:
    """The id of a version's batch decision on an application: the same whenever it is computed."""
    return str(uuid.uuid5(_NAMESPACE, f"{model_name}/{model_version}/{application_id}"))


def score_applications(
    settings: Settings, deployment: Deployment, *, since: datetime | None = None, batch_rows: int = BATCH_ROWS
) -> BatchCounts:
    """Decide every application of the deployment's source from ``since`` on that this version has not decided yet.

    ``since`` (inclusive) defaults to the first decision of the model's test rows. Fitted rows are always left out.
    Running again adds nothing.
    """
    from pyarrow.parquet import ParquetWriter

    started = time.perf_counter()
    scorer = Scorer(load_registered(settings, deployment.source, deployment.model_version))
    found: Counter[str] = Counter()
    with TemporaryDirectory(prefix="loanlake-batch-") as directory:
        path = Path(directory) / "predictions.parquet"
        with connect(settings) as con:
            since = since or _first_test_decision(con, scorer.bundle)
            snapshot = current_snapshot(con)
            undecided = _undecided(
                con, scorer.bundle, deployment=deployment, since=since, snapshot=snapshot, batch_rows=batch_rows
            )
            schema = arrow_schema(_TABLE).append(undecided.schema.field("features"))
            with ParquetWriter(path, schema) as rows:
                for batch in undecided:
                    decided = _decide(scorer, deployment, batch, snapshot, schema)
                    rows.write_table(decided)
                    found.update(decided["decision"].to_pylist())
                    found.update(decided["status"].to_pylist())
        n_found = sum(found[decision] for decision in DECISION_WORDS)
        n_scored = _insert(settings, path, deployment) if n_found else 0
    return BatchCounts(
        n_found=n_found,
        n_scored=n_scored,
        n_declined=found["decline"],
        n_referred=found["refer"],
        n_without_history=found["scored_without_history"],
        since=since,
        seconds=time.perf_counter() - started,
    )


def _first_test_decision(con: duckdb.DuckDBPyConnection, bundle: Bundle) -> datetime:
    lineage = bundle.lineage
    row = con.execute(
        f"select min(decided_at) from {_training_rows(con, lineage)} where source = $1 and split = 'test'",
        [lineage.source],
    ).fetchone()
    found: datetime | None = row[0] if row else None
    return found or datetime.fromisoformat(lineage.decided_to)


def _training_rows(con: duckdb.DuckDBPyConnection, lineage: Lineage) -> str:
    table = training_table(lineage.feature_version, exposures=lineage.has_exposures)
    return rows_at(con, table, lineage.lake_snapshot)


def _undecided(
    con: duckdb.DuckDBPyConnection,
    bundle: Bundle,
    *,
    deployment: Deployment,
    since: datetime,
    snapshot: int,
    batch_rows: int,
) -> "pa.RecordBatchReader":
    contract, lineage = bundle.contract, bundle.lineage
    input_types = {column.name: column.data_type for column in contract.inputs}
    members = ", ".join(f"'{name}': features.{identifier(name)}" for name in contract.feature_names)
    history = [f'inputs."{column.name}" is null' for column in contract.inputs_of("history")]
    return con.execute(
        f"""
        with inputs as (
            from {contract.tables.inputs_table} at (version => {snapshot:d})
            where source = $source and decided_at >= $since
        ), features as (
            from {contract.tables.features_table} at (version => {snapshot:d})
        ), decided as (
            from {_TABLE} where model_name = $name and model_version = $version
        ), fitted as (
            from {_training_rows(con, lineage)} where split <> 'test'
        )
        select
            inputs.application_id,
            inputs.borrower_id,
            inputs.decided_at,
            {_json_object("inputs", input_types)} as inputs_json,
            {{{members}}} as features,
            {" and ".join(history) or "false"} as is_without_history,
            {offline_columns(contract, "features")}
        from inputs
        join features on features.application_id = inputs.application_id
        where not exists (from decided where decided.application_id = inputs.application_id)
            and not exists (from fitted where fitted.application_id = inputs.application_id)
        """,
        {
            "source": lineage.source,
            "since": since,
            "name": deployment.model_name,
            "version": deployment.model_version,
        },
    ).to_arrow_reader(batch_size=batch_rows)


def _json_object(relation: str, types: Mapping[str, str]) -> str:
    members = []
    for name, data_type in types.items():
        value = f'{relation}."{name}"'
        if data_type in _FLOATS:
            # DuckDB prints doubles exactly, but infinity and NaN as bare words, which JSON does not allow
            value = f"case when isfinite({value}) then to_json({value}) else to_json({value}::varchar) end"
        members.append(f"'{name}', {value}")
    return f"json_object({', '.join(members)})::varchar"


def _decide(
    scorer: Scorer, deployment: Deployment, batch: "pa.RecordBatch", snapshot: int, schema: "pa.Schema"
) -> "pa.Table":
    import pyarrow as pa

    matrix = scorer.bundle.design_matrix.encode(offline_frame(batch, scorer.contract))
    scores = scorer.score_matrix(matrix)
    ids = batch.column("application_id").to_pylist()
    without_history = batch.column("is_without_history").to_pylist()
    columns: dict[str, object] = {
        "decision_id": [batch_decision_id(deployment.model_name, deployment.model_version, each) for each in ids],
        "application_id": ids,
        "raw_score": scores.raw.astype(float),
        "points": scores.points if scores.points is not None else [None] * len(ids),
        "probability": scores.probability,
        "probability_low": scores.low,
        "probability_high": scores.high,
        "band": scores.bands,
        "decision": scores.decisions,
        "reasons": scorer.logged_reasons(matrix, scores, of_approved="[]"),
        "status": ["scored_without_history" if without else "scored" for without in without_history],
        "decided_at": batch.column("decided_at"),
        "features_as_of": batch.column("decided_at"),
        "borrower_id": batch.column("borrower_id"),
        "inputs": batch.column("inputs_json"),
        "features": batch.column("features"),
    }
    same_for_all = {
        "source": scorer.bundle.lineage.source,
        "model_name": deployment.model_name,
        "model_version": deployment.model_version,
        "feature_version": scorer.contract.version,
        "route": "backfill",
        "role": "champion",
        "history": None,
        "caller_id": None,
        "caller_name": None,
        "latency_ms": None,
        "lake_snapshot": snapshot,
        "ingested_at": datetime.now(UTC).replace(tzinfo=None),
    }
    columns |= {name: [value] * len(ids) for name, value in same_for_all.items()}
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _insert(settings: Settings, path: Path, deployment: Deployment) -> int:
    columns = ", ".join(program_tables()[_TABLE])
    version = deployment.feature_version
    lacking = f"{parquet(path)} as found anti join {_TABLE} as made using (decision_id)"
    purpose = f"batch decisions of {deployment.model_name} version {deployment.model_version}"
    with writer(purpose, settings) as con:
        con.execute("begin")
        declare_features(con, settings, deployment.model_name, deployment.model_version, version)
        con.execute(f"insert into {features_table(version)} by name select decision_id, features.* from {lacking}")
        ((n_rows,),) = con.execute(f"insert into {_TABLE} by name select {columns} from {lacking}").fetchall()
        con.execute("commit")
    return int(n_rows)
