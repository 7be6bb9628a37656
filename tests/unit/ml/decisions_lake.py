"""A lake with training rows and decisions, and nothing else: what the monitors read, without dbt or a model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.monitoring.samples import MonitoredModel
from warehouse.features.columns import FeatureColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import current_snapshot
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

MODEL = MonitoredModel(source="bank", name="default_risk_bank", version=3)

CONTRACT = FeatureContract(
    version="v1",
    inputs=(),
    features=(
        FeatureColumn("loan_to_income", "double", "Loan over income.", "numeric", range=(0, 10), reason="high"),
        FeatureColumn("is_renter", "boolean", "Rents.", "boolean", reason="rents"),
        FeatureColumn("purpose", "varchar", "Use.", "categorical", values=("car", "house"), reason="purpose"),
    ),
    sql="select 1 from inputs",
)


@dataclass(frozen=True)
class Bank:
    """One connection to a lake of its own; it holds no lease, so that what is tested can take it."""

    settings: Settings
    con: duckdb.DuckDBPyConnection

    def train(self, rows: Sequence[Mapping[str, object]], *, source: str = "bank") -> int:
        """Replace ``training.trn_default_v1`` by these rows, of split ``train`` unless they say otherwise."""
        defaults = {"source": source, "split": "train", "decided_at": datetime(2023, 1, 1)}
        table = pa.Table.from_pylist(
            [{"application_id": f"t-{number}", **defaults, **row} for number, row in enumerate(rows)]
        )
        self.con.register("training_rows", table)
        self.con.execute("create or replace table training.trn_default_v1 as select * from training_rows")
        return self.snapshot()

    def decide(
        self,
        decided_at: datetime,
        features: Sequence[Mapping[str, object]],
        *,
        probability: Sequence[float] | None = None,
        application_ids: Sequence[str] | None = None,
        model: MonitoredModel = MODEL,
        contract: FeatureContract = CONTRACT,
    ) -> None:
        """Append decisions of one moment, as they are once ingested."""
        moment = f"{decided_at:%Y%m%d%H%M%S}"
        rows = [
            {
                "decision_id": f"{model.version}-{moment}-{number}",
                "decided_at": decided_at,
                "source": model.source,
                "application_id": application_ids[number] if application_ids else f"{moment}-{number}",
                "features": json.dumps(row),
                "probability": probability[number] if probability else 0.5,
                "model_name": model.name,
                "model_version": model.version,
            }
            for number, row in enumerate(features)
        ]
        columns = [column for column in rows[0] if column != "features"]
        casts = ", ".join(f"{column}::{program_tables()['serving.predictions'][column]}" for column in columns)
        self.con.register("decisions", pa.Table.from_pylist(rows))
        self.con.execute(f"insert into serving.predictions ({', '.join(columns)}) select {casts} from decisions")
        typed = ", ".join(f"{name} {data_type}" for name, data_type in contract.feature_types.items())
        self.con.execute(f"create table if not exists serving.decision_features_v1 (decision_id varchar, {typed})")
        self.con.execute(
            "insert into serving.decision_features_v1 select decision_id, seen.* from ("
            f"select decision_id, from_json(features, '{json.dumps(contract.feature_types)}') as seen from decisions)"
        )

    def label(self, labels: Mapping[str, bool], *, source: str = "bank") -> None:
        """Replace ``training.lbl_default`` by these mature labels."""
        rows = [{"application_id": key, "source": source, "is_default": value} for key, value in labels.items()]
        self.con.register("labels", pa.Table.from_pylist(rows))
        self.con.execute("create or replace table training.lbl_default as select * from labels")

    def snapshot(self) -> int:
        """The lake's newest snapshot."""
        return current_snapshot(self.con)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a query."""
        return self.con.execute(sql).fetchall()
