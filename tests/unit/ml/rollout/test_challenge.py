"""A challenge is of one version against one champion, and ends with either."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from ml.bundle.bundle import load_bundle
from ml.commands import start_canary
from ml.registry.approval import approve
from ml.registry.deployment import MIN_DECISIONS, CanaryPlan, read_deployment, read_history
from ml.registry.registered_version import record_version
from ml.rollout.challenge import challenge as begin_challenge
from ml.rollout.challenge import end_challenge, start_challenge
from ml.rollout.promotion import promote, rollback
from tests.estimated_family import estimated_bundle
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model, shared_bundle
from warehouse.errors import GateRefusal, NotFoundError, SettingError

pytestmark = pytest.mark.usefixtures("aliases")


def challenge(home, version=2, *, share=None):
    registered = register_model(home, shared_bundle(seed=8), version=version)
    return start_challenge(home, registered, against=read_deployment(home, "simulated"), share=share, by="someone")


def test_a_challenger_is_served_beside_the_champion(home):
    publish_model(home, version=1)

    challenge(home, share=0.25)

    served = read_deployment(home, "simulated")
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
    end_challenge(home, "simulated", by="someone else")

    changes = read_history(home, "simulated")

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
    back = rollback(home, "simulated", by="someone")

    assert promoted.challenger is None
    assert (back.model_version, back.challenger) == (1, None)


def test_a_rollback_ends_the_challenge_of_what_is_rolled_back(home):
    publish_model(home, version=1)
    publish_model(home, version=3)
    challenge(home)

    assert rollback(home, "simulated", by="someone").challenger is None


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
    assert read_deployment(home, "simulated").challenger is None


def test_a_challenge_against_a_champion_that_is_gone_is_refused(home):
    """Two people at once: one promotes while the other begins a trial against what was served before."""
    against = publish_model(home, version=1)
    publish_model(home, version=3)

    other = register_model(home, shared_bundle(seed=8), version=2)

    with pytest.raises(NotFoundError, match=f"{MODEL_NAME} version 1, which is no longer served"):
        start_challenge(home, other, against=against, share=None, by="someone")


def test_ending_no_challenge_says_so(home):
    publish_model(home, version=1)

    with pytest.raises(NotFoundError, match="no challenge of simulated is running"):
        end_challenge(home, "simulated", by="someone")


def test_the_command_names_the_fewest_decisions_of_a_step():
    result = CliRunner().invoke(start_canary, ["2", "--decisions", str(MIN_DECISIONS - 1), "--reason", "a try"])

    assert result.exit_code == 2
    assert f"{MIN_DECISIONS - 1} is not in the range x>={MIN_DECISIONS}" in result.output


@pytest.fixture
def estimating(home, monkeypatch):
    """Version 2, refused for its estimated reasons alone."""
    publish_model(home, version=1)
    registered = register_model(home, estimated_bundle(monkeypatch), version=2)
    record_version(home, replace(registered, refused_by=("reasons_are_exact",), gate_messages=("they are estimated.",)))


@pytest.mark.usefixtures("estimating")
def test_estimated_reasons_may_be_tried_in_shadow_and_answer_no_caller(home):
    started = begin_challenge(home, 2, source=SOURCE, by="someone")

    assert (started.challenger.mode, started.challenger.deployment.model_version) == ("shadow", 2)
    for answering in (
        lambda: begin_challenge(home, 2, source=SOURCE, share=0.1, by="someone"),
        lambda: begin_challenge(home, 2, source=SOURCE, plan=CanaryPlan(), by="someone"),
        lambda: promote(home, 2, source=SOURCE, by="someone"),
    ):
        with pytest.raises(GateRefusal, match=r"refused by reasons_are_exact: .*override by name"):
            answering()
    assert read_deployment(home, SOURCE).model_version == 1


@pytest.mark.usefixtures("estimating")
def test_a_named_person_lets_estimated_reasons_answer_with_a_reason(home, monkeypatch):
    monkeypatch.setattr("ml.registry.approval.tag_approval", lambda *_: None)
    approve(home, 2, source=SOURCE, reason="committee", overrides=["reasons_are_exact"], serve=False, by="ann")

    started = begin_challenge(home, 2, source=SOURCE, plan=CanaryPlan(), by="someone")
    served = promote(home, 2, source=SOURCE, by="someone")

    assert started.challenger.mode == "canary"
    assert served.model_version == 2


def test_another_refusal_keeps_a_version_out_of_shadow_too(home, monkeypatch):
    publish_model(home, version=1)
    registered = register_model(home, estimated_bundle(monkeypatch), version=2)
    record_version(
        home, replace(registered, refused_by=("reasons_are_exact", "auc_reaches_floor"), gate_messages=("a", "b"))
    )

    with pytest.raises(GateRefusal, match="refused by auc_reaches_floor: b"):
        begin_challenge(home, 2, source=SOURCE, by="someone")
