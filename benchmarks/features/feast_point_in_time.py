"""Feast's side of ``point_in_time.py``, run by the Python of Feast's own environment, which lacks Loanlake.

``python feast_point_in_time.py FOLDER FEATURE…`` joins ``FOLDER/statements.parquet`` to ``FOLDER/applications.parquet``
with the file offline store, writes ``FOLDER/feast.parquet`` and prints seconds and version as JSON. Imports and the
registry's set-up are not counted.
"""

import json
import sys
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType


def main(folder: Path, features: list[str]) -> None:
    """Set up the store, ask for the features of every application, and report how long the query took."""
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            registry=str(folder / "registry.db"),
            provider="local",
            offline_store={"type": "file"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    borrower = Entity(name="borrower", join_keys=["borrower_id"], value_type=ValueType.STRING)
    statements = FeatureView(
        name="statements",
        entities=[borrower],
        ttl=timedelta(days=365),
        schema=[Field(name=name, dtype=Float64) for name in features],
        source=FileSource(path=str(folder / "statements.parquet"), timestamp_field="known_at"),
        online=False,
    )
    store.apply([borrower, statements])
    applications = pd.read_parquet(folder / "applications.parquet")
    applications["event_timestamp"] = applications.pop("decided_at").dt.tz_localize("UTC")

    started = time.perf_counter()
    found = store.get_historical_features(
        entity_df=applications, features=[f"statements:{name}" for name in features]
    ).to_df()
    seconds = time.perf_counter() - started
    found[["application_id", *features]].to_parquet(folder / "feast.parquet")
    print(json.dumps({"seconds": seconds, "version": version("feast")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
