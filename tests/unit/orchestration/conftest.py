"""A home with a model in service, as far as orchestration reads of it: history, lineage, figures; no training."""

import json
from collections.abc import Callable, Iterator
from datetime import date

import dagster as dg
import msgspec
import pytest

from ml.registry.deployment import Deployment
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's own store, in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def in_service(home: Settings) -> Callable[..., Deployment]:
    """Put a version in service: ``in_service(3, n_trained=10_000, auc=0.70, auc_low=0.68)``."""

    def serve(
        version: int = 1,
        *,
        source: str = "bank",
        feature_version: str = "v1",
        n_trained: int = 10_000,
        auc: float = 0.70,
        auc_low: float = 0.68,
    ) -> Deployment:
        name = f"default_risk_{source}"
        bundle = home.bundles / name / str(version)
        bundle.mkdir(parents=True)
        rows = {"train": n_trained - 200, "tune": 100, "test": 100}
        (bundle / "lineage.json").write_text(
            json.dumps(
                {
                    "rows": rows,
                    "trained_at": "2024-01-02T03:04:05+00:00",
                    "settings": {"exclude": ["zip"], "family": "logistic"},
                }
            )
        )
        figures = {"split": "test", "month": None, "model": "candidate", "auc": auc, "auc_low": auc_low}
        figures |= {"gini": 2 * auc - 1, "ks": 0.3, "brier": 0.12}
        (bundle / "metrics.json").write_text(json.dumps({"measured": [figures]}))
        entry = {
            "source": source,
            "model_name": name,
            "model_version": version,
            "feature_version": feature_version,
            "bundle": str(bundle.relative_to(home.home)),
            "published_at": "2024-01-02T03:04:05.000+00:00",
            "published_by": "test",
        }
        home.deployment(source).parent.mkdir(parents=True, exist_ok=True)
        home.deployment(source).write_text(json.dumps({**entry, "previous": None}))
        with home.deployment_history(source).open("a") as history:
            history.write(json.dumps({"action": "publish", "at": entry["published_at"], "by": "tests", **entry}) + "\n")
        return msgspec.convert({**entry, "previous": None}, Deployment)

    return serve


@pytest.fixture
def measured(home: Settings) -> Callable[..., None]:
    """Write a row of a monitoring table: ``measured("monitoring.score_drift", champion, month=…, psi=…)``."""

    def write(table: str, champion: Deployment, *, month: date, **figures: object) -> None:
        row = {
            "source": champion.source,
            "model_name": champion.model_name,
            "model_version": champion.model_version,
            "month": month,
            **figures,
        }
        with writer("test", home) as con:
            con.execute(
                f"insert into {table} ({', '.join(row)}) values ({', '.join('?' for _ in row)})", list(row.values())
            )

    return write
