"""A version is served once, by one publisher at a time; the way back never leads to a bundle that cannot be read."""

import json
import shutil
import threading

import pytest

from ml.registry.approval import approve_once
from ml.registry.deployment import read_deployment, read_history
from ml.rollout import promotion
from ml.rollout.promotion import promote, promote_approved, publish, rollback
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model, shared_bundle
from warehouse.errors import BundleError, ContractError, NotFoundError

pytestmark = pytest.mark.usefixtures("aliases")


def test_publishing_what_is_served_changes_nothing(home):
    first = publish_model(home, version=1)

    again = publish_model(home, version=1)

    assert again == first
    assert len(home.deployment_history(SOURCE).read_text().splitlines()) == 1


def test_a_model_whose_features_are_no_longer_built_is_not_promoted(home):
    """Deleted from the dbt project: nothing could compare it with the next candidate, or score a batch with it."""
    register_model(home, shared_bundle())
    home.dbt_target.mkdir(parents=True)
    node = {"resource_type": "model", "name": "ftr_application", "version": 2}
    (home.dbt_target / "manifest.json").write_text(json.dumps({"nodes": {"model.loanlake.ftr_application.v2": node}}))

    with pytest.raises(ContractError, match=r"version 1 needs ftr_application v1, .* \(it has v2\): bring .*_v1.sql"):
        promote(home, 1, source=SOURCE, by="test")

    assert read_deployment(home, SOURCE) is None


def test_an_approval_does_not_undo_a_rollback_that_came_while_it_was_followed(home, monkeypatch):
    """Checking a version takes a while, and an operator who sees trouble does not wait."""
    for version in (1, 2):
        publish_model(home, version=version)
    approved = register_model(home, shared_bundle(), version=3)
    approve_once(home, approved, reason="minutes", by="key 1")

    def loaded(*_):
        rollback(home, SOURCE, by="operator")
        return shared_bundle()

    monkeypatch.setattr(promotion, "load_built", loaded)

    with pytest.raises(NotFoundError, match=r"the approval of .* version 3 is not to be followed any more"):
        promote_approved(home, SOURCE)

    assert read_deployment(home, SOURCE).model_version == 1


def test_rolling_back_serves_what_was_served_before(home, aliases):
    publish_model(home, version=1)
    publish_model(home, version=2, seed=8)

    back = rollback(home, SOURCE, by="someone")

    assert (back.model_version, back.published_by) == (1, "someone")
    assert read_deployment(home, SOURCE) == back
    assert aliases == [(MODEL_NAME, 1)]


def test_a_rollback_leaves_another_lenders_model_in_service(home, aliases):
    for source in (SOURCE, "cards"):
        publish_model(home, version=1, source=source)
        publish_model(home, version=2, seed=8, source=source)
    cards = read_deployment(home, "cards")

    rollback(home, SOURCE, by="someone")

    assert read_deployment(home, SOURCE).model_version == 1
    assert read_deployment(home, "cards") == cards
    assert [change.action for change in read_history(home, "cards")] == ["publish", "publish"]
    assert aliases == [(MODEL_NAME, 1)]


def test_rolling_back_twice_goes_back_two(home):
    """Prevents a second rollback from bringing back the model that the first one took out of service."""
    for version in (1, 2, 3):
        publish_model(home, version=version)
    rollback(home, SOURCE, by="someone")

    assert rollback(home, SOURCE, by="someone").model_version == 1
    with pytest.raises(NotFoundError, match=f"now served is {MODEL_NAME} version 1"):
        rollback(home, SOURCE, by="someone")


def test_rolling_back_from_nothing_says_so(home):
    with pytest.raises(NotFoundError, match="now served is nothing"):
        rollback(home, SOURCE, by="someone")


def test_a_rollback_to_a_damaged_bundle_is_refused(home):
    first = publish_model(home, version=1)
    second = publish_model(home, version=2)
    shutil.rmtree(first.bundle_directory(home))

    with pytest.raises(BundleError, match="is not a model bundle"):
        rollback(home, SOURCE, by="someone")

    assert read_deployment(home, SOURCE) == second


def test_a_rollback_happens_though_the_registry_fails(home, monkeypatch):
    """Prevents an unreachable MLflow from keeping a bad model in service."""
    publish_model(home, version=1)
    publish_model(home, version=2)

    def unreachable(*_: object) -> None:
        raise ConnectionError("no registry")

    monkeypatch.setattr("ml.registry.registry.set_champion", unreachable)

    with pytest.raises(ConnectionError):
        rollback(home, SOURCE, by="someone")
    assert read_deployment(home, SOURCE).model_version == 1


def test_the_chain_back_has_an_end(home, monkeypatch):
    monkeypatch.setattr(promotion, "_ROLLBACKS", 2)
    for version in range(1, 6):
        last = publish_model(home, version=version)

    assert last.previous.previous.model_version == 3
    assert last.previous.previous.previous is None


def test_two_publishers_lose_no_deployment(home):
    versions = {number: register_model(home, shared_bundle(), version=number) for number in range(1, 9)}

    def publish_version(version: int) -> None:
        publish(home, versions[version], by="tests")

    threads = [threading.Thread(target=publish_version, args=(version,)) for version in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    chain, deployment = [], read_deployment(home, SOURCE)
    while deployment:
        chain.append(deployment.model_version)
        deployment = deployment.previous
    assert sorted(chain) == list(range(1, 9))
