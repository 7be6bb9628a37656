"""``deployment.json`` is replaced whole, remembers its way back, and never points at a bundle that cannot be read."""

import json
import re
import shutil
import threading
from types import SimpleNamespace

import pytest

from ml import deployment as deployments
from ml.bundle import load_bundle
from ml.deployment import end_challenge, promote, publish, read_deployment, read_history, rollback, start_challenge
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, shared_bundle
from warehouse.errors import BundleError, ContractError, NotFoundError, SettingError


@pytest.fixture(autouse=True)
def aliases(monkeypatch) -> list[tuple[str, int]]:
    """Where MLflow's champion alias was moved; MLflow itself is in tests/integration/test_registry.py."""
    moved: list[tuple[str, int]] = []
    monkeypatch.setattr("ml.registry.set_champion", lambda _, name, version: moved.append((name, version)))
    monkeypatch.setattr("ml.registry.drop_challenger", lambda *_: None)
    return moved


def test_nothing_is_served_before_the_first_publication(home):
    assert read_deployment(home) is None


def test_what_was_published_is_served(home):
    published = publish_model(home, version=3)

    assert read_deployment(home) == published
    assert (published.source, published.model_name, published.model_version) == (SOURCE, MODEL_NAME, 3)
    assert published.bundle == f"bundles/{MODEL_NAME}/3"
    assert published.bundle_directory(home) == home.bundles / MODEL_NAME / "3"


def test_publishing_what_is_served_changes_nothing(home):
    first = publish_model(home, version=1)

    again = publish_model(home, version=1)

    assert again == first
    assert len(home.deployment_history.read_text().splitlines()) == 1


def test_a_model_whose_features_are_no_longer_built_is_not_promoted(home, monkeypatch):
    """Deleted from the dbt project: nothing could compare it with the next candidate, or score a batch with it."""
    registered = SimpleNamespace(name=MODEL_NAME, version=1, refused_by=(), archived=False)
    monkeypatch.setattr("ml.registry.get_version", lambda *_: registered)
    monkeypatch.setattr("ml.registry.fetch_bundle", lambda *_: shared_bundle())
    home.dbt_target.mkdir(parents=True)
    node = {"resource_type": "model", "name": "ftr_application", "version": 2}
    (home.dbt_target / "manifest.json").write_text(json.dumps({"nodes": {"model.loanlake.ftr_application.v2": node}}))

    with pytest.raises(ContractError, match=r"version 1 needs ftr_application v1, .* \(it has v2\): bring .*_v1.sql"):
        promote(home, 1, source=SOURCE, by="test")

    assert read_deployment(home) is None


def test_rolling_back_serves_what_was_served_before(home, aliases):
    publish_model(home, version=1)
    publish_model(home, version=2, seed=8)

    back = rollback(home, by="someone")

    assert (back.model_version, back.published_by) == (1, "someone")
    assert read_deployment(home) == back
    assert aliases == [(MODEL_NAME, 1)]


def test_rolling_back_twice_goes_back_two(home):
    """Prevents a second rollback from bringing back the model that the first one took out of service."""
    for version in (1, 2, 3):
        publish_model(home, version=version)
    rollback(home, by="someone")

    assert rollback(home, by="someone").model_version == 1
    with pytest.raises(NotFoundError, match=f"served now is {MODEL_NAME} version 1"):
        rollback(home, by="someone")


def test_rolling_back_from_nothing_says_so(home):
    with pytest.raises(NotFoundError, match="served now is nothing"):
        rollback(home, by="someone")


def test_a_rollback_to_a_damaged_bundle_is_refused(home):
    first = publish_model(home, version=1)
    second = publish_model(home, version=2)
    shutil.rmtree(first.bundle_directory(home))

    with pytest.raises(BundleError, match="is no model bundle"):
        rollback(home, by="someone")

    assert read_deployment(home) == second


def test_a_rollback_happens_though_the_registry_fails(home, monkeypatch):
    """Prevents an unreachable MLflow from keeping a bad model in service."""
    publish_model(home, version=1)
    publish_model(home, version=2)

    def unreachable(*_: object) -> None:
        raise ConnectionError("no registry")

    monkeypatch.setattr("ml.registry.set_champion", unreachable)

    with pytest.raises(ConnectionError):
        rollback(home, by="someone")
    assert read_deployment(home).model_version == 1


def test_the_history_tells_every_change_oldest_first(home):
    publish_model(home, version=1)
    publish_model(home, version=2)
    rollback(home, by="someone")

    entries = [json.loads(line) for line in home.deployment_history.read_text().splitlines()]

    assert [(entry["action"], entry["model_version"]) for entry in entries] == [
        ("publish", 1),
        ("publish", 2),
        ("rollback", 1),
    ]


def test_the_chain_back_has_an_end(home, monkeypatch):
    monkeypatch.setattr(deployments, "_ROLLBACKS", 2)
    for version in range(1, 6):
        last = publish_model(home, version=version)

    assert last.previous.previous.model_version == 3
    assert last.previous.previous.previous is None


def test_a_reader_never_sees_half_a_deployment(home):
    """Prevents a torn read: a reader polls as fast as it can while versions are published."""
    publish_model(home, version=1)
    seen: set[int] = set()
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            seen.add(read_deployment(home).model_version)

    reader = threading.Thread(target=poll)
    reader.start()
    for version in range(2, 12):
        publish_model(home, version=version)
    done.set()
    reader.join()

    assert seen <= set(range(1, 12))
    assert read_deployment(home).model_version == 11


def test_two_publishers_lose_no_deployment(home):
    bundle = shared_bundle()

    def publish_version(version: int) -> None:
        publish(bundle, home, source=SOURCE, model_name=MODEL_NAME, model_version=version, by="tests")

    threads = [threading.Thread(target=publish_version, args=(version,)) for version in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    chain, deployment = [], read_deployment(home)
    while deployment:
        chain.append(deployment.model_version)
        deployment = deployment.previous
    assert sorted(chain) == list(range(1, 9))


def challenge(home, version=2, *, share=None):
    bundle = shared_bundle(seed=8)
    return start_challenge(
        home, bundle, against=read_deployment(home), model_version=version, share=share, by="someone"
    )


def test_a_challenger_is_served_beside_the_champion(home):
    publish_model(home, version=1)

    challenge(home, share=0.25)

    served = read_deployment(home)
    assert served.model_version == 1
    assert (served.challenger.mode, served.challenger.share) == ("ab", 0.25)
    assert served.challenger.deployment.bundle_directory(home) == home.bundles / MODEL_NAME / "2"
    assert load_bundle(served.challenger.deployment.bundle_directory(home)).digest == shared_bundle(seed=8).digest


def test_the_history_tells_of_challenges_and_who_began_them(home):
    publish_model(home, version=1)
    challenge(home)
    challenge(home)
    challenge(home, share=0.1)
    challenge(home, share=0.2)
    end_challenge(home, by="someone else")

    changes = read_history(home)

    assert [(change.action, change.by) for change in changes] == [
        ("publish", "tests"),
        ("challenge", "someone"),
        ("challenge", "someone"),
        ("challenge", "someone"),
        ("end_challenge", "someone else"),
    ]
    assert [change.deployment.challenger and change.deployment.challenger.share for change in changes] == [
        None, None, 0.1, 0.2, None,
    ]  # fmt: skip
    assert {change.deployment.model_version for change in changes} == {1}


def test_a_promotion_ends_the_challenge_and_a_rollback_does_not_begin_it_again(home):
    """A trial is of one version against one champion; what it would say of another one was never asked."""
    publish_model(home, version=1)
    challenge(home)

    promoted = publish_model(home, version=3)
    back = rollback(home, by="someone")

    assert promoted.challenger is None
    assert (back.model_version, back.challenger) == (1, None)


def test_a_rollback_ends_the_challenge_of_what_is_rolled_back(home):
    publish_model(home, version=1)
    publish_model(home, version=3)
    challenge(home)

    assert rollback(home, by="someone").challenger is None


def test_publishing_the_champion_again_leaves_the_challenge_alone(home):
    publish_model(home, version=1)
    challenged = challenge(home)

    assert publish_model(home, version=1) == challenged


def test_a_champion_cannot_challenge_itself(home):
    publish_model(home, version=2, seed=8)

    with pytest.raises(SettingError, match="must be another version than the champion"):
        challenge(home, version=2)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_is_a_share(home, share):
    publish_model(home, version=1)

    with pytest.raises(SettingError, match=r"a share of the applicants within \(0, 1\)"):
        challenge(home, share=share)
    assert read_deployment(home).challenger is None


def test_a_challenge_against_a_champion_that_is_gone_is_refused(home):
    """Two people at once: one promotes while the other begins a trial against what was served before."""
    against = publish_model(home, version=1)
    publish_model(home, version=3)

    with pytest.raises(NotFoundError, match=f"{MODEL_NAME} version 1, which is no longer served"):
        start_challenge(home, shared_bundle(seed=8), against=against, model_version=2, share=None, by="someone")


def test_ending_no_challenge_says_so(home):
    publish_model(home, version=1)

    with pytest.raises(NotFoundError, match="no challenge is running"):
        end_challenge(home, by="someone")


def test_files_from_before_there_were_challengers_load(home):
    publish_model(home, version=1)
    publish_model(home, version=2)
    for path in (home.deployment, home.deployment_history):
        old = path.read_text().replace('"challenger": null,', "").replace(', "challenger": null', "")
        path.write_text(re.sub(r'"(at|by)": "[^"]*", ', "", old))
    assert "challenger" not in home.deployment.read_text() + home.deployment_history.read_text()

    assert read_deployment(home).previous.model_version == 1
    assert [(change.deployment.model_version, change.by) for change in read_history(home)] == [
        (1, "tests"),
        (2, "tests"),
    ]
    assert rollback(home, by="someone").model_version == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"source": "simulated", "previous": null}'])
def test_an_unreadable_deployment_is_named(home, text):
    home.deployment.parent.mkdir(parents=True)
    home.deployment.write_text(text)

    with pytest.raises(BundleError, match=r"deployment\.json must hold one deployment"):
        read_deployment(home)
