"""A key with the scope ``approve`` gives a person's word for a version; what cannot be approved is refused and told."""

import json
from dataclasses import replace
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.registry.approval import read_approvals
from ml.registry.registered_version import RegisteredVersion, record_version
from serving.access.keys import KeyStore
from tests.model_factory import MODEL_NAME, SOURCE, publish_model
from tests.registered_version import registered_version
from tests.serving_home import ServingHome

Client = TestClient[Litestar]
MESSAGE = "Required at most 0.03; found 0.05. Refused: look at the calibration."
REASON = {"reason": "minutes 2026-11"}


@pytest.fixture(autouse=True)
def registered(own_home: ServingHome) -> None:
    """1 is served, 2 passed, 3 and 4 were refused, 5 was archived."""
    versions = [
        known(2),
        known(3, refused_by=("calibration_error_is_small",), gate_messages=(MESSAGE,)),
        known(4, refused_by=("offline_equals_online",), gate_messages=("1 of 500 rows differ.",)),
        known(5, archived=True),
    ]
    for version in versions:
        record_version(own_home.settings, version)


def known(version: int, **changed: Any) -> RegisteredVersion:
    return registered_version(source=SOURCE, name=MODEL_NAME, version=version, **changed)


def states(client: Client) -> dict[int, str]:
    return {each["version"]: each["state"] for each in client.get("/v1/models").json()["versions"]}


def test_an_approval_is_kept_with_who_and_why_and_not_given_twice(own_client: Client, own_home: ServingHome) -> None:
    first = own_client.post("/v1/models/2/approval", json=REASON)
    again = own_client.post("/v1/models/2/approval", json={"reason": "another"})

    [kept] = read_approvals(own_home.settings, SOURCE)
    [key] = KeyStore(own_home.settings.keys).all()
    assert (first.status_code, again.status_code) == (202, 200)
    assert (first.json()["state"], first.json()["next"][:7]) == ("approved", "Dagster")
    assert again.json() == first.json()
    assert (kept.model_version, kept.reason, kept.by) == (2, "minutes 2026-11", f"key {key.key_id}")


def test_the_list_says_where_each_version_stands_and_why(own_client: Client) -> None:
    before = states(own_client)
    own_client.post("/v1/models/2/approval", json=REASON)

    listed = own_client.get("/v1/models").json()["versions"]
    assert before == {5: "archived", 4: "refused", 3: "refused", 2: "waiting", 1: "served"}
    assert states(own_client)[2] == "approved"
    assert listed[2]["gates"] == [
        {"gate": "calibration_error_is_small", "passed": False, "message": MESSAGE, "can_be_overridden": True},
        {"gate": "auc_reaches_floor", "passed": True, "message": "", "can_be_overridden": False},
    ]
    assert listed[1]["gates"][0]["can_be_overridden"] is False
    assert (listed[3]["approval"]["reason"], listed[2]["approval"]) == ("minutes 2026-11", None)


def test_a_refusal_stands_until_it_is_overridden_by_name(own_client: Client, own_home: ServingHome) -> None:
    refused = own_client.post("/v1/models/3/approval", json=REASON)
    given = own_client.post("/v1/models/3/approval", json=REASON | {"override": ["calibration_error_is_small"]})

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:loanlake:problem:not-approvable")
    assert "was refused by calibration_error_is_small: Required at most 0.03" in refused.json()["detail"]
    assert (given.status_code, given.json()["approval"]["overridden"]) == (202, ["calibration_error_is_small"])
    assert len(read_approvals(own_home.settings, SOURCE)) == 1


@pytest.mark.parametrize(
    ("version", "override", "detail"),
    [(4, ["offline_equals_online"], "offline_equals_online cannot be overridden"), (5, None, "was archived")],
)
def test_parity_and_what_was_archived_are_never_approved(
    own_client: Client, own_home: ServingHome, version: int, override: list[str] | None, detail: str
) -> None:
    response = own_client.post(f"/v1/models/{version}/approval", json=REASON | {"override": override})

    assert response.status_code == 409
    assert detail in response.json()["detail"]
    assert read_approvals(own_home.settings, SOURCE) == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["reason"]),
        ({"reason": " \t"}, ["reason"]),
        ({"reason": "two\nlines", "override": "all", "force": True}, ["reason", "override", "force"]),
        ({"reason": "r", "override": ["auc_reaches_floor", "nonsense"]}, ["override", "override"]),
    ],
)
def test_a_body_that_breaks_its_rules_is_told_all_of_them(
    own_client: Client, own_home: ServingHome, body: dict[str, Any], fields: list[str]
) -> None:
    response = own_client.post("/v1/models/3/approval", json=body)

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == fields
    assert read_approvals(own_home.settings, SOURCE) == []


@pytest.mark.parametrize(
    ("path", "unknown"), [("/v1/models/9/approval", "version"), ("/v1/lenders/another/models/2/approval", "lender")]
)
def test_a_version_that_is_not_registered_is_a_problem(own_client: Client, path: str, unknown: str) -> None:
    response = own_client.post(path, json=REASON)

    assert (response.status_code, response.json()["type"]) == (404, f"urn:loanlake:problem:unknown-{unknown}")


def test_an_approval_of_what_is_served_leads_to_nothing(own_client: Client) -> None:
    """It may be demanded later, when LOANLAKE_APPROVAL=required is set: the record is worth keeping."""
    first = own_client.post("/v1/models/1/approval", json=REASON)
    again = own_client.post("/v1/models/1/approval", json=REASON)

    assert (first.status_code, again.status_code) == (202, 200)
    assert (first.json()["state"], first.json()["next"]) == ("served", "")


def test_an_approval_may_leave_the_roll_out_to_a_person(own_client: Client) -> None:
    given = own_client.post("/v1/models/2/approval", json=REASON | {"serve": False})

    assert (given.status_code, given.json()["state"]) == (202, "waiting")
    assert "`loanlake canary start 2 --lender simulated --reason …` rolls it out" in given.json()["next"]
    assert given.json()["approval"]["serve"] is False


def test_an_approval_that_a_later_promotion_overtook_can_be_given_again(
    own_client: Client, own_home: ServingHome
) -> None:
    own_client.post("/v1/models/2/approval", json=REASON)
    publish_model(own_home.settings, version=6, seed=11)

    overtaken = states(own_client)[2]
    again = own_client.post("/v1/models/2/approval", json=REASON)

    assert overtaken == "waiting"
    assert (again.status_code, again.json()["state"]) == (202, "approved")


def test_approvals_that_cannot_be_read_or_kept_are_unavailable(own_client: Client, own_home: ServingHome) -> None:
    own_home.settings.approvals(SOURCE).mkdir()
    unwritable = own_client.post("/v1/models/2/approval", json=REASON)
    own_home.settings.approvals(SOURCE).rmdir()
    own_home.settings.approvals(SOURCE).write_text(json.dumps({"reason": "half a line"}) + "\n")
    unreadable = own_client.get("/v1/models")
    own_home.settings.deployment(SOURCE).write_text("{")
    damaged = own_client.get("/v1/models")

    assert (unwritable.status_code, unreadable.status_code, damaged.status_code) == (503, 503, 503)
    assert "approvals.jsonl:1 must hold one approval" in unreadable.json()["detail"]


def test_a_home_that_registered_nothing_has_no_versions(own_client: Client, own_home: ServingHome) -> None:
    own_home.settings.versions(SOURCE).unlink()

    assert own_client.get("/v1/models").json() == {"versions": []}


def test_a_version_of_another_lender_is_approved_on_its_path(own_client: Client, own_home: ServingHome) -> None:
    record_version(own_home.settings, replace(known(7), source="bank", name="default_risk_bank"))

    given = own_client.post("/v1/lenders/bank/models/7/approval", json=REASON)

    assert (given.status_code, given.json()["model"]) == (202, "default_risk_bank")
    assert 7 not in states(own_client)
