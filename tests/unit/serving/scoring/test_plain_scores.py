"""An ordinary request is answered by the shorter way, with the answer that the handler gives."""

import asyncio
import json
from typing import Any, cast

import pytest
from litestar import Litestar, Request
from litestar.testing import TestClient

from serving.controllers import scores
from serving.http.json_body import read_json
from serving.scoring.plain_scores import PlainScores
from tests.serving_home import APPLICATION, ServingHome
from warehouse import decision_log

Client = TestClient[Litestar]
BODY = json.dumps(APPLICATION | {"decided_at": "2022-03-01T12:00:00Z"}).encode()
PLAIN = {"Content-Type": "application/json"}


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of requests whose body a handler has read."""
    paths: list[str] = []

    async def watched(request: Request[Any, Any, Any]) -> Any:
        paths.append(request.url.path)
        return await read_json(request)

    monkeypatch.setattr(scores, "read_json", watched)
    return paths


def test_an_ordinary_request_goes_no_further(client: Client, handled: list[str]) -> None:
    assert client.post("/v1/scores", content=BODY, headers=PLAIN).status_code == 200
    assert client.post("/v1/scores", content=b"{}", headers=PLAIN).status_code == 400

    assert handled == []


def test_only_a_post_decides(client: Client, shared_home: ServingHome) -> None:
    """OPTIONS with the body of a score request made a decision."""
    before = decision_log.count_pending(shared_home.settings)

    asked = client.request("OPTIONS", "/v1/scores", content=BODY, headers=PLAIN)

    assert (asked.status_code, asked.content) == (204, b"")
    assert decision_log.count_pending(shared_home.settings) == before


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (BODY, {"Content-Type": "application/json; charset=utf-8"}),
        (BODY, PLAIN | {"Idempotency-Key": "once"}),
        (BODY + b" " * 9_000, {"Content-Type": "APPLICATION/JSON"}),
    ],
    ids=["charset", "idempotency key", "capitals"],
)
def test_any_other_gets_the_same_answer_from_the_handler(
    client: Client, handled: list[str], content: bytes, headers: dict[str, str]
) -> None:
    ordinary = client.post("/v1/scores", content=BODY, headers=PLAIN)

    other = client.post("/v1/scores", content=content, headers=headers)

    assert handled == ["/v1/scores"]
    assert comparable(ordinary) == comparable(other)


def test_a_body_in_pieces_goes_on_whole(client: Client) -> None:
    pieces = [{"type": "http.request", "body": BODY[:10], "more_body": True}]
    pieces += [{"type": "http.request", "body": BODY[10:], "more_body": False}]
    scope = {
        "method": "POST",
        "path_template": "/v1/scores",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    heard: list[object] = []

    async def receive() -> Any:
        return pieces.pop(0)

    async def handler(_scope: Any, receive: Any, _send: Any) -> None:
        heard.extend([await receive(), await receive()])

    expected = list(pieces)
    nobody: Any = None
    plain = PlainScores(nobody, paths=["/v1/scores"], most_bytes=10_000)
    asyncio.run(plain.handle(cast("Any", scope), receive, nobody, handler))

    assert heard == expected


def test_a_body_beyond_the_limit_is_the_handlers_to_refuse(client: Client, handled: list[str]) -> None:
    refused = client.post("/v1/scores", content=BODY + b" " * 10_000, headers=PLAIN)

    assert (refused.status_code, handled) == (413, ["/v1/scores"])


def test_another_method_and_the_batch_are_not_its_business(client: Client, handled: list[str]) -> None:
    assert client.get("/v1/scores").status_code == 405
    assert client.post("/v1/scores/batch", json={"applications": [APPLICATION]}).status_code == 200

    assert handled == ["/v1/scores/batch"]


def comparable(response: Any) -> tuple[int, dict[str, Any], list[str]]:
    """Status, what does not differ from one decision to the next, and the names of the headers."""
    answer = response.json()
    return response.status_code, {**answer, "decision_id": ""}, sorted(response.headers)
