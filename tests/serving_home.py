"""A home that can serve: a real small model, an online store with a few borrowers and cohorts, and a key."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pyarrow as pa

from serving.access.keys import MOST_REQUESTS, KeyStore
from tests.model_factory import PURPOSES, SOURCE, publish_model
from warehouse.online_store import open_store
from warehouse.settings import Settings

#: What the online store is as of.
AS_OF = datetime(2022, 1, 1)
SNAPSHOT = 42
APPLICATION: dict[str, Any] = {
    "application_id": "app-1",
    "borrower_id": "sim-b1",
    "requested_amount": 12_000.0,
    "term_months": 36,
    "purpose": "car",
    "annual_income": 48_000.0,
    "income_verified": True,
    "oldest_account_on": "2010-05-01",
}
#: Declined by every model of the factory: it asks for twice a small income, with arrears.
RISKY = (
    APPLICATION
    | {"application_id": "app-2", "borrower_id": "sim-b2", "requested_amount": 90_000.0}
    | {
        "annual_income": 9_000.0,
        "purpose": "other",
        "term_months": 60,
    }
)


@dataclass(frozen=True)
class ServingHome:
    """A home with everything that a score needs; ``headers`` authenticate with all scopes and no limit to speak of."""

    settings: Settings
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def furnish(settings: Settings, *, family: str = "xgboost") -> ServingHome:
    """Publish version 1, fill the online store, create a key."""
    publish_model(settings, family=family)
    fill_online_store(settings)
    scopes = ["score", "batch", "features", "decisions", "outcomes", "metrics", "approve"]
    return ServingHome(settings, KeyStore(settings.keys).create("tests", scopes, rate_limit=MOST_REQUESTS))


def until_ready_says(client: httpx.Client, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first answer of /readyz that is as wanted; fails with the last one after 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer: dict[str, Any] = client.get("/readyz").json()
        if wanted(answer):
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never so within 20 s: {answer}")


def fill_online_store(settings: Settings, *, months_past_due: int = 0) -> None:
    """Two borrowers, the second in arrears, and a cohort for each purpose but the last."""
    borrowers = pa.table(
        {
            "borrower_id": ["sim-b1", "sim-b2"],
            "source": [SOURCE, SOURCE],
            "as_of": pa.array([AS_OF, AS_OF], pa.timestamp("us")),
            "max_months_past_due_6m": pa.array([months_past_due, 5], pa.int32()),
        }
    )
    cohorts = pa.table(
        {
            "source": [SOURCE, SOURCE],
            "segment": ["purpose", "purpose"],
            "segment_value": list(PURPOSES[:2]),
            "as_of": pa.array([AS_OF, AS_OF], pa.timestamp("us")),
            "purpose_default_rate": [0.1, 0.2],
        }
    )
    store = open_store(settings)
    store.write("borrowers", borrowers.to_reader(), snapshot=SNAPSHOT)
    store.write("cohorts", cohorts.to_reader(), snapshot=SNAPSHOT)
