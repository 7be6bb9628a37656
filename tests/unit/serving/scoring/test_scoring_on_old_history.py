"""Scores on history that is old, or that cannot be had: by policy, logged, counted, and never a 500."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from ml.decisions.freshness import HistoryPolicy
from ml.decisions.replay import replay
from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, AS_OF, ServingHome, furnish
from warehouse import decision_log
from warehouse.errors import SettingError
from warehouse.settings import Settings

Client = TestClient[Litestar]
Start = Callable[..., Client]
DAY = timedelta(days=1)


@pytest.fixture
def start(own_home: ServingHome) -> Iterator[Start]:
    """The API over ``own_home`` with a policy, or over the same home with other settings."""
    clients: list[Client] = []

    def started(*, settings: Settings | None = None, **policy: Any) -> Client:
        options = ServingOptions(history=HistoryPolicy(**policy))
        client = TestClient(create_app(settings or own_home.settings, options), raise_server_exceptions=False)
        client.headers.update(own_home.headers)
        clients.append(client.__enter__())
        return clients[-1]

    yield started
    for client in clients:
        client.__exit__(None, None, None)


def score(client: Client, status: int = 200, **changes: object) -> dict[str, Any]:
    response = client.post("/v1/scores", json=APPLICATION | changes)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def logged(home: ServingHome, answer: dict[str, Any]) -> decision_log.Decision:
    return decision_log.find_decision(home.settings, answer["decision_id"])


def test_stale_history_is_used_and_said_by_default(start: Start, own_home: ServingHome) -> None:
    """The store is as of 2022: years before a decision of today."""
    client = start(max_age=DAY)

    answer = score(client)

    assert answer["status"] == "scored_with_stale_history"
    assert answer["warnings"][0].startswith("history is stale: it is as of 2022-01-01T00:00:00Z, ")
    assert logged(own_home, answer).history == "stale"
    assert replay(own_home.settings, answer["decision_id"]).equal
    assert (
        'history="stale",lender="simulated",model="default_risk_simulated",role="champion",route="online",'
        'version="1"} 1.0' in client.get("/metrics").text
    )
    assert client.get("/readyz").json()["status"] == "degraded"


def test_age_is_measured_at_the_decision(start: Start, own_home: ServingHome) -> None:
    """A historical file's clock stands in the past: fresh for a decision dated into its own time."""
    client = start(max_age=DAY)

    within = score(client, decided_at=(AS_OF + DAY).isoformat() + "Z")
    beyond = score(client, decided_at=(AS_OF + DAY + timedelta(seconds=1)).isoformat() + "Z")

    assert (within["status"], beyond["status"]) == ("scored", "scored_with_stale_history")
    assert logged(own_home, within).history == "fresh"


def test_history_of_more_than_two_months_is_stale_unless_another_limit_is_set(start: Start) -> None:
    """Statements are monthly: beyond that, a month's file was missed."""
    client = start()

    within, beyond = score(client, decided_at="2022-03-04T00:00:00Z"), score(client, decided_at="2022-03-05T00:00:00Z")
    today = score(client)

    assert (within["status"], within["warnings"]) == ("scored", [])
    assert [each["status"] for each in (beyond, today)] == ["scored_with_stale_history"] * 2
    assert beyond["warnings"] == ["history is stale: it is as of 2022-01-01T00:00:00Z, 63 days before this decision"]
    assert "history of simulated is stale" in client.get("/", headers={"Accept": "text/html"}).text
    assert ServingOptions.from_environment({}).history == HistoryPolicy()


def test_without_a_limit_no_history_is_stale(start: Start, own_home: ServingHome) -> None:
    client = start(max_age=None)

    answer = score(client)

    assert (answer["status"], answer["warnings"]) == ("scored", [])
    assert client.get("/readyz").json()["status"] == "ready"


def test_stale_history_can_be_left_out(start: Start, own_home: ServingHome) -> None:
    answer = score(start(max_age=DAY, stale="score_without_history"))

    found = logged(own_home, answer)
    assert (answer["status"], answer["features_as_of"]) == ("scored_without_history", None)
    assert answer["warnings"][0] == "history is older than this server allows and was left out: scored without history"
    assert (found.history, found.lake_snapshot) == ("left_out", None)
    assert '"max_months_past_due_6m":null' in found.inputs
    assert '"purpose_default_rate":null' in found.inputs
    assert replay(own_home.settings, answer["decision_id"]).equal


def test_stale_history_can_be_refused(start: Start, own_home: ServingHome) -> None:
    client = start(max_age=DAY, stale="refuse")

    problem = score(client, 503)
    batch = client.post(
        "/v1/scores/batch", json={"applications": [APPLICATION, APPLICATION | {"decided_at": "2022-01-01T12:00:00Z"}]}
    ).json()

    assert problem["type"].endswith("stale-history")
    assert "the limit here is 24 hours" in problem["detail"]
    assert (batch["n_scored"], batch["n_refused"]) == (1, 1)
    assert batch["results"][0]["problem"]["status"] == 503
    assert decision_log.count_pending(own_home.settings) == 1
    assert 'loanlake_history_refusals_total{lender="simulated",reason="stale"} 2.0' in client.get("/metrics").text
    assert client.get("/readyz").status_code == 503


def test_a_time_to_come_is_the_callers_fault_and_not_the_stores(start: Start) -> None:
    client = start(max_age=DAY, stale="refuse")

    response = client.post("/v1/scores", json=APPLICATION | {"decided_at": "2099-01-01T00:00:00Z"})

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["decided_at"]


def test_an_unknown_borrower_is_not_told_to_be_stale(start: Start, own_home: ServingHome) -> None:
    answer = score(start(max_age=None), borrower_id="nobody")

    assert logged(own_home, answer).history == "unknown"


@pytest.mark.parametrize(
    ("policy", "status", "readiness"), [("refuse", 503, "unavailable"), ("score_without_history", 200, "degraded")]
)
def test_a_redis_that_is_down_is_handled_by_policy(
    start: Start, own_home: ServingHome, policy: str, status: int, readiness: str
) -> None:
    down = replace(own_home.settings, redis_url="redis://:secret@127.0.0.1:1/0", redis_timeout_seconds=0.2)
    client = start(settings=down, unavailable=policy)

    answer = score(client, status)
    ready = client.get("/readyz").json()

    assert ready["status"] == readiness
    assert "redis://127.0.0.1:1" in ready["reasons"][0]
    assert "secret" not in str(ready) + str(answer)
    if status == 200:
        assert logged(own_home, answer).history == "unavailable"
        assert answer["warnings"][0] == "history could not be looked up: scored without history"
    else:
        assert answer["type"].endswith("unavailable")


def test_scores_from_redis_are_those_from_lmdb(start: Start, own_home: ServingHome, redis_home: Settings) -> None:
    at = "2022-03-01T12:00:00Z"
    from_lmdb = score(start(), decided_at=at)
    on_redis = furnish(redis_home)

    client = start(settings=redis_home)
    client.headers.update(on_redis.headers)
    from_redis = score(client, decided_at=at)

    same = ("probability", "status", "features_as_of", "warnings")
    assert {name: from_redis[name] for name in same} == {name: from_lmdb[name] for name in same}
    with redis.Redis.from_url(str(redis_home.redis_url)) as server:
        server.delete(f"{redis_home.redis_prefix}:records")
    assert "is empty" in score(client, 503)["detail"]


def test_the_policy_is_read_from_the_environment() -> None:
    options = ServingOptions.from_environment(
        {
            "LOANLAKE_HISTORY_MAX_AGE_HOURS": "1.5",
            "LOANLAKE_STALE_HISTORY": "refuse",
            "LOANLAKE_UNAVAILABLE_HISTORY": "score_without_history",
        }
    )

    assert options.history == HistoryPolicy(timedelta(minutes=90), "refuse", "score_without_history")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOANLAKE_HISTORY_MAX_AGE_HOURS", "0", "must be a number of hours"),
        ("LOANLAKE_HISTORY_MAX_AGE_HOURS", "nan", "found 'nan'"),
        ("LOANLAKE_HISTORY_MAX_AGE_HOURS", "2 days", "found '2 days'"),
        ("LOANLAKE_STALE_HISTORY", "warn", "must be one of score, score_without_history, refuse: found 'warn'"),
        ("LOANLAKE_UNAVAILABLE_HISTORY", "score", "must be one of refuse, score_without_history: found 'score'"),
    ],
)
def test_a_policy_that_cannot_be_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingError, match=f"{name} .*{message}"):
        ServingOptions.from_environment({name: value})
