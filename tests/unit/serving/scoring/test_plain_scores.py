"""An ordinary request is answered by the shorter way, with the answer that the handler gives."""

import asyncio
import json
from typing import Any, cast

import pytest
from litestar import Litestar, Request
from litestar.testing import TestClient

from serving.app import create_app
from serving.controllers import scores
from serving.http.json_body import read_json
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


def test_a_header_that_is_there_twice_is_the_handlers_to_judge(client: Client, handled: list[str]) -> None:
    twice = [*PLAIN.items(), ("Content-Type", "text/plain")]

    client.post("/v1/scores", content=BODY, headers=twice)

    assert handled == ["/v1/scores"]


def test_a_body_in_pieces_goes_on_whole(shared_home: ServingHome) -> None:
    app = create_app(shared_home.settings)
    pieces = [{"type": "http.request", "body": BODY[:10], "more_body": True}]
    pieces += [{"type": "http.request", "body": BODY[10:], "more_body": False}]
    headers = {**PLAIN, **shared_home.headers, "Host": "localhost"}
    scope = {
        "method": "POST",
        "path": "/v1/scores",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    heard: list[object] = []

    async def receive() -> Any:
        return pieces.pop(0)

    async def handler(_scope: Any, receive: Any, _send: Any) -> None:
        heard.extend([await receive(), await receive()])

    expected = list(pieces)
    nobody: Any = None
    asyncio.run(app.plain_scores.handle(cast("Any", scope), receive, nobody, handler))

    assert heard == expected


def test_a_body_beyond_the_limit_is_the_handlers_to_refuse(client: Client, handled: list[str]) -> None:
    refused = client.post("/v1/scores", content=BODY + b" " * 10_000, headers=PLAIN)

    assert (refused.status_code, handled) == (413, ["/v1/scores"])


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {}, 400),
        (b"[1", {}, 400),
        (BODY, {"Authorization": "Bearer ll_unknown_key"}, 401),
        (BODY, {"Authorization": "Basic bm9uZTpub25l"}, 401),
    ],
    ids=["violations", "syntax", "unknown key", "another scheme"],
)
def test_a_problem_is_the_one_of_the_handler(
    client: Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    as_handled = PLAIN | {"Content-Type": "application/json; charset=utf-8"}

    ordinary = client.post("/v1/scores", content=content, headers=PLAIN | headers)
    handled = client.post("/v1/scores", content=content, headers=as_handled | headers)

    assert ordinary.status_code == status
    assert ordinary.json() == handled.json()
    assert sorted(ordinary.headers) == sorted(handled.headers)


def test_a_request_is_counted_once_whatever_becomes_of_it(client: Client) -> None:
    answers = [client.post("/v1/scores", content=content, headers=PLAIN) for content in (BODY, b"{}", BODY)]
    left = [int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0]) for answer in answers]

    assert [left[0] - each for each in left] == [0, 1, 2]


def test_another_method_and_the_batch_are_not_its_business(client: Client, handled: list[str]) -> None:
    assert client.get("/v1/scores").status_code == 405
    assert client.post("/v1/scores/batch", json={"applications": [APPLICATION]}).status_code == 200

    assert handled == ["/v1/scores/batch"]


def comparable(response: Any) -> tuple[int, dict[str, Any], list[str]]:
    """Status, what does not differ from one decision to the next, and the names of the headers."""
    answer = response.json()
    return response.status_code, {**answer, "decision_id": ""}, sorted(response.headers)
