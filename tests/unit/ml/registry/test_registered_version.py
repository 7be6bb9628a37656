"""The home's record decides which bundle a version is: no door lets another one into service."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import pandas as pd
import pytest

from ml.bundle.bundle import load_bundle
from ml.decisions.replay import replay
from ml.registry.bundle_erasure import erase_from_bundles
from ml.registry.deployment import read_deployment
from ml.registry.registered_version import get_version, keep_version, list_versions, load_registered, record_version
from ml.rollout.challenge import challenge
from ml.rollout.promotion import promote, rollback
from serving.deployed.served_model import load_served_model
from tests.altered_bundle import approve_everybody
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model, shared_bundle
from tests.registered_version import registered_version
from warehouse.decision_log import Decision, append, create
from warehouse.errors import BundleError, NotFoundError
from warehouse.settings import Settings

pytestmark = pytest.mark.usefixtures("aliases")


def _replay(home: Settings) -> None:
    texts = dict.fromkeys(("inputs", "features", "reasons"), "{}")
    decision = Decision(
        decision_id="d-1", decided_at=datetime(2024, 1, 2), source=SOURCE, application_id="a",
        raw_score=0.1, probability=0.1, probability_low=0.1, probability_high=0.2,
        band="A", decision="approve", model_name=MODEL_NAME, model_version=2,
        feature_version="v1", route="online", status="scored", borrower_id=None, **texts,
    )  # fmt: skip
    with closing(create(home)) as log:
        append(log, [decision])
    replay(home, "d-1")


def _restart(home: Settings) -> None:
    served = read_deployment(home, SOURCE)
    assert served is not None
    assert served.previous is not None
    load_served_model(home, served.previous)


DOORS: dict[str, Callable[[Settings], object]] = {
    "promote": lambda home: promote(home, 2, source=SOURCE, by="someone"),
    "challenge": lambda home: challenge(home, 2, source=SOURCE, share=0.1, by="someone"),
    "rollback": lambda home: rollback(home, SOURCE, by="someone"),
    "replay": _replay,
    "a start of the API": _restart,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_bundle_that_is_not_the_registered_one_passes_no_door(home: Settings, door: str) -> None:
    publish_model(home, version=2)
    served = publish_model(home, version=1, seed=8)
    approve_everybody(home.bundles / MODEL_NAME / "2")
    assert load_bundle(home.bundles / MODEL_NAME / "2").policy.cut_off == 0.999999

    with pytest.raises(BundleError, match=f"registered as {MODEL_NAME} version 2, of digest .* restore it"):
        DOORS[door](home)

    assert read_deployment(home, SOURCE) == served


def test_a_version_that_is_not_recorded_is_not_served(home: Settings) -> None:
    publish_model(home, version=2)
    publish_model(home, version=1, seed=8)
    home.versions(SOURCE).unlink()

    with pytest.raises(NotFoundError, match=f"model of '{SOURCE}' has no version 2: registered are none.*versions"):
        rollback(home, SOURCE, by="someone")


def test_a_number_that_is_taken_is_not_given_to_another_training(home: Settings) -> None:
    """Somebody deleted the model in MLflow, which begins to count again: the old version's decisions must replay."""
    register_model(home, shared_bundle(), version=1)
    other = registered_version(source=SOURCE, name=MODEL_NAME, version=1, fingerprint="other")

    with pytest.raises(BundleError, match="version 1 must be a new number: this home has registered another training"):
        keep_version(home, other, shared_bundle(seed=8))

    assert load_registered(home, SOURCE, 1).digest == shared_bundle().digest


def test_an_erasure_leaves_each_version_the_registered_one(home: Settings) -> None:
    """Its reference rows change, and with them its digest."""
    publish_model(home, version=1)
    person = str(pd.read_parquet(shared_bundle().reference_scores)["application_id"][0])
    before = get_version(home, SOURCE, 1).bundle_digest

    erase_from_bundles(home, [person], rename=None)

    after = load_registered(home, SOURCE, 1).digest
    assert after != before
    assert get_version(home, SOURCE, 1).digests == (before, after)


def test_a_damaged_record_is_named(home: Settings) -> None:
    record_version(home, registered_version())
    home.versions("bank").write_text("[{}]")

    with pytest.raises(BundleError, match=r"bank/versions\.json must hold the registered versions of a lender's model"):
        list_versions(home, "bank")
