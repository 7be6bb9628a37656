"""A lake with training rows and decisions, and nothing else: what the monitors read, without dbt or a model."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from ml.monitoring import MonitoredModel
from warehouse.contract import FeatureColumn, FeatureContract
from warehouse.lake import current_snapshot, writer
from warehouse.settings import Settings
from warehouse.tables import TABLES

MODEL = MonitoredModel(source="bank", name="default_risk_bank", version=3)

CONTRACT = FeatureContract(
    version="v1",
    inputs=(),
    features=(
        FeatureColumn("loan_to_income", "double", "Loan over income.", "numeric", range=(0, 10), reason="high"),
        FeatureColumn("is_renter", "boolean", "Rents.", "boolean", reason="rents"),
        FeatureColumn("purpose", "varchar", "Use.", "categorical", values=("car", "house"), reason="purpose"),
    ),
    sql="select 1",
)


def write_training(settings: Settings, rows: Sequence[Mapping[str, object]], *, source: str = "bank") -> int:
    """Replace ``training.trn_default`` by these rows, of split ``train`` unless they say otherwise; its snapshot."""
    table = pa.Table.from_pylist([{"source": source, "split": "train", **row} for row in rows])
    with writer("test", settings) as con:
        con.register("training_rows", table)
        con.execute("create or replace table training.trn_default as select * from training_rows")
        return current_snapshot(con)


def write_decisions(
    settings: Settings,
    decided_at: datetime,
    features: Sequence[Mapping[str, object]],
    *,
    probability: Sequence[float] | None = None,
    application_ids: Sequence[str] | None = None,
    model: MonitoredModel = MODEL,
) -> None:
    """Append decisions of one moment, in the form that the API logs them."""
    rows = [
        {
            "decision_id": f"{model.version}-{decided_at:%Y%m%d%H%M%S}-{number}",
            "decided_at": decided_at,
            "source": model.source,
            "application_id": application_ids[number] if application_ids else f"{decided_at:%Y%m%d%H%M%S}-{number}",
            "features": json.dumps(row),
            "probability": probability[number] if probability else 0.5,
            "model_name": model.name,
            "model_version": model.version,
        }
        for number, row in enumerate(features)
    ]
    columns = ", ".join(rows[0])
    casts = ", ".join(f"{column}::{TABLES['serving.predictions'][column]}" for column in rows[0])
    with writer("test", settings) as con:
        con.register("decisions", pa.Table.from_pylist(rows))
        con.execute(f"insert into serving.predictions ({columns}) select {casts} from decisions")


def write_labels(settings: Settings, labels: Mapping[str, bool], *, source: str = "bank") -> None:
    """Replace ``training.lbl_default`` by these mature labels."""
    with writer("test", settings) as con:
        con.execute(
            "create or replace table training.lbl_default (application_id varchar, source varchar, is_default boolean)"
        )
        if labels:
            con.executemany(
                "insert into training.lbl_default values ($1, $2, $3)",
                [[application_id, source, is_default] for application_id, is_default in labels.items()],
            )
