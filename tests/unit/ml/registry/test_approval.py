"""A version answers nobody before a person approved it, where that is required; some refusals nobody can override."""

from dataclasses import replace

import pytest

from ml.judging.gates import NEVER_OVERRIDDEN, LoggedFeaturesEqualRecomputed
from ml.registry.approval import (
    approve,
    approve_once,
    find_approval,
    read_approvals,
    require_approved,
    require_passed,
    unserved_approval,
)
from ml.registry.deployment_changes import record_changes
from ml.registry.registered_version import RegisteredVersion
from ml.rollout.promotion import rollback
from tests.model_factory import MODEL_NAME, SOURCE, publish_model
from tests.registered_version import registered_version
from warehouse.errors import ApprovalMissing, GateRefusal, SettingError
from warehouse.lake.connection import connect


@pytest.fixture
def register(monkeypatch):
    """Register one version, refused by these gates; what it is tagged with is left to test_registry.py."""

    def know(*refused_by: str, **changed) -> RegisteredVersion:
        messages = tuple(f"{gate} says no" for gate in refused_by)
        version = registered_version(refused_by=refused_by, gate_messages=messages, **changed)
        monkeypatch.setattr("ml.registry.approval.get_version", lambda *_: version)
        monkeypatch.setattr("ml.registry.approval.tag_approval", lambda *_: None)
        return version

    return know


def test_where_approval_is_required_a_passed_version_waits_for_it(home, register):
    version, strict = register(), replace(home, approval_required=True)
    require_passed(strict, version)
    with pytest.raises(ApprovalMissing, match=r"version 3 waits for approval .*`loanlake model approve 3 --lender"):
        require_approved(strict, version)
    require_approved(home, version)

    given = approve(strict, 3, source="bank", reason=" minutes of November ", by="someone")

    require_approved(strict, version)
    assert (given.reason, given.by, given.overridden) == ("minutes of November", "someone", ())
    assert find_approval(strict, version) == given
    assert find_approval(strict, replace(version, version=4)) is None


def test_a_refusal_stands_until_it_is_overridden_by_name(home, register):
    version = register("auc_reaches_floor", "test_months")
    with pytest.raises(GateRefusal, match=r"refused by test_months: test_months says no. .* override by name"):
        approve(home, 3, source="bank", reason="why not", overrides=["auc_reaches_floor"], by="someone")
    with pytest.raises(GateRefusal):
        require_passed(home, version)

    approve(home, 3, source="bank", reason="shock", overrides=["auc_reaches_floor", "test_months"], by="someone")

    require_passed(home, version)
    assert [entry.overridden for entry in read_approvals(home, "bank")] == [("auc_reaches_floor", "test_months")]


@pytest.mark.parametrize("gate", sorted(NEVER_OVERRIDDEN))
def test_parity_and_leakage_are_never_overridden(home, register, gate):
    register(gate)

    with pytest.raises(GateRefusal, match=f"{gate} cannot be overridden: train another version"):
        approve(home, 3, source="bank", reason="please", overrides=[gate], by="someone")
    assert read_approvals(home, "bank") == []


def test_an_approval_written_by_hand_overrides_no_parity(home, register):
    """The file is the operator's; the rule is not."""
    version = register("test_months")
    approve(home, 3, source="bank", reason="r", overrides=["test_months"], by="someone")
    home.approvals("bank").write_text(
        home.approvals("bank").read_text().replace("test_months", LoggedFeaturesEqualRecomputed.name)
    )

    with pytest.raises(GateRefusal):
        require_passed(home, replace(version, refused_by=(LoggedFeaturesEqualRecomputed.name,)))


def test_a_gate_that_did_not_refuse_cannot_be_overridden(home, register):
    register("auc_reaches_floor")

    with pytest.raises(SettingError, match="found test_months; refused by auc_reaches_floor"):
        approve(home, 3, source="bank", reason="r", overrides=["test_months"], by="someone")


def test_an_approval_without_a_reason_is_none(home, register):
    register()

    with pytest.raises(SettingError, match="needs a reason"):
        approve(home, 3, source="bank", reason="  ", by="someone")


def test_an_archived_version_is_not_approved(home, register):
    register(archived=True)

    with pytest.raises(GateRefusal, match="was archived"):
        approve(home, 3, source="bank", reason="r", by="someone")


def test_an_approval_is_to_be_followed_until_something_was_put_in_service(home, register, aliases):
    """One that is older than a rollback is no reason to undo it."""
    version = register(source=SOURCE, name=MODEL_NAME)
    publish_model(home, version=1)
    given, is_new = approve_once(home, version, reason="minutes", by="key 1")
    waits = unserved_approval(home, SOURCE)

    publish_model(home, version=3, seed=11)
    served = unserved_approval(home, SOURCE)
    rollback(home, SOURCE, by="someone")

    assert is_new
    assert waits == given
    assert (served, unserved_approval(home, SOURCE)) == (None, None)


def test_an_approval_that_stands_is_not_given_twice_but_one_that_was_overtaken_is(home, register):
    version = register(source=SOURCE, name=MODEL_NAME)

    first, again = (approve_once(home, version, reason=reason, by="key 1") for reason in ("one", "two"))
    publish_model(home, version=4)
    later, is_new = approve_once(home, version, reason="three", by="key 1")

    assert again == (first[0], False)
    assert (later.reason, is_new) == ("three", True)
    assert unserved_approval(home, SOURCE) == later


def test_an_approval_that_leaves_the_roll_out_to_a_person_serves_nothing(home, register):
    version, strict = register(source=SOURCE, name=MODEL_NAME), replace(home, approval_required=True)
    first, again = (approve_once(strict, version, reason="a try", serve=False, by="key 1") for _ in range(2))

    waits = unserved_approval(strict, SOURCE)
    at_once, is_new = approve_once(strict, version, reason="all", by="key 1")

    require_approved(strict, version)
    assert again == (first[0], False)
    assert (waits, is_new) == (None, True)
    assert unserved_approval(strict, SOURCE) == at_once


def test_a_further_override_is_a_further_approval(home, register):
    version = register("auc_reaches_floor", "test_months", source=SOURCE, name=MODEL_NAME)
    both = ["auc_reaches_floor", "test_months"]
    with pytest.raises(GateRefusal):
        approve_once(home, version, reason="r", overrides=both[:1], by="key 1")

    approve_once(home, version, reason="r", overrides=both, by="key 1")

    assert len(read_approvals(home, SOURCE)) == 1


def test_every_approval_is_a_row_also_one_that_was_never_followed(home, register):
    version = register("auc_reaches_floor")
    approve_once(home, version, reason="shock", overrides=["auc_reaches_floor"], by="key 1")

    assert (record_changes(home), record_changes(home)) == (1, 0)
    with connect(home) as con:
        rows = con.execute(
            "select approval, approved_by, model_name, model_version, overridden, reason, is_to_be_served "
            "from serving.approvals"
        ).fetchall()
    assert rows == [(1, "key 1", "default_risk_bank", 3, ["auc_reaches_floor"], "shock", True)]


def test_a_line_that_is_no_approval_is_named(home, register):
    register()
    approve(home, 3, source="bank", reason="r", by="someone")
    with home.approvals("bank").open("a") as file:
        file.write('{"reason": "half"}\n')

    with pytest.raises(SettingError, match=r"approvals.jsonl:2 must hold one approval"):
        read_approvals(home, "bank")
