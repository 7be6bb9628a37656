"""Lines of the log: which requests have one, what names them, and that nothing of an applicant is in any."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.bundle.scorer import Scorer
from serving.access.caller import Caller
from serving.access.keys import KeyStore
from serving.app import create_app
from serving.options import ServingOptions
from serving.scoring.scoring import ScoringService
from serving.telemetry.logs import JsonLines
from serving.telemetry.request_log import caller_name
from tests.second_version import MORE, challenge_with_second
from tests.serving_home import APPLICATION, ServingHome, until_ready_says

Client = TestClient[Litestar]

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
REQUEST_ID = "lender-gateway-2026-000123"


class Lines:
    """What was written, as a server would write it."""

    def __init__(self, text: io.StringIO):
        self._text = text

    @property
    def text(self) -> str:
        return self._text.getvalue()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.text.splitlines()) if line["event"] == event]


@pytest.fixture
def lines() -> Iterator[Lines]:
    text, logger = io.StringIO(), logging.getLogger("loanlake")
    handler, level = logging.StreamHandler(text), logger.level
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield Lines(text)
    logger.removeHandler(handler)
    logger.setLevel(level)


@contextmanager
def serving(home: ServingHome, **options: Any) -> Iterator[Client]:
    app = create_app(home.settings, ServingOptions(poll_seconds=0.05, **options))
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers.update(home.headers)
        yield client


def test_every_answer_names_its_request(client: Client) -> None:
    answers = [client.get("/healthz"), client.get("/healthz"), client.get("/nowhere"), client.get("/v1/scores")]

    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in ids)
    assert len(set(ids)) == len(ids)


def test_a_callers_own_request_id_is_kept_where_it_is_well_formed(client: Client) -> None:
    kept = client.get("/healthz", headers={"X-Request-ID": REQUEST_ID})

    assert kept.headers["x-request-id"] == REQUEST_ID


@pytest.mark.parametrize(
    "sent", ["078-05-1120", "Jane Doe of 12 Main Street", "x" * 65, "a-request\x7f" + "x" * 10, "ü" * 20]
)
def test_another_request_id_is_replaced(client: Client, sent: str) -> None:
    """What is short may be somebody's number; the log must not take it."""
    answer = client.get("/healthz", headers={b"X-Request-ID": sent.encode()})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("sent", [TRACEPARENT, f"cc-{TRACE_ID}-b7ad6b7169203331-01-what-will-be"])
def test_a_trace_is_passed_back_as_it_came(client: Client, sent: str) -> None:
    assert client.get("/healthz", headers={"traceparent": sent}).headers["traceparent"] == sent


@pytest.mark.parametrize(
    "sent",
    [
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-b7ad6b7169203331-01",
        f"00-{TRACE_ID.upper()}-b7ad6b7169203331-01",
        f"{TRACEPARENT}-later",
        f"{TRACEPARENT}x",
        "Jane Doe",
        "",
    ],
)
def test_a_malformed_trace_is_left_out(client: Client, sent: str) -> None:
    assert "traceparent" not in client.get("/healthz", headers={"traceparent": sent}).headers


def test_of_two_traces_neither_is_believed(client: Client) -> None:
    answer = client.get("/healthz", headers=[("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)])

    assert "traceparent" not in answer.headers


def test_only_errors_and_slow_requests_have_a_line(own_home: ServingHome, lines: Lines) -> None:
    with serving(own_home) as client:
        client.post("/v1/scores", json=APPLICATION)
        client.post("/v1/scores", json={})
        assert lines.of("request") == []

    with serving(own_home, slow_seconds=1e-6) as client:
        client.post("/v1/scores", json=APPLICATION)
    assert [(line["status"], line["level"]) for line in lines.of("request")] == [(200, "info")]


def test_a_line_leads_from_request_to_decision_caller_and_trace(own_home: ServingHome, lines: Lines) -> None:
    with serving(own_home, logs_all_requests=True) as client:
        answer = client.post(
            "/v1/scores", json=APPLICATION, headers={"X-Request-ID": REQUEST_ID, "traceparent": TRACEPARENT}
        )
        client.get("/nowhere/app-1")

    scored, unmatched = lines.of("request")
    [key] = KeyStore(own_home.settings.keys).all()
    assert (
        scored.items()
        >= {
            "route": "/v1/scores",
            "status": 200,
            "caller": f"key {key.key_id}",
            "decision_id": answer.json()["decision_id"],
            "request_id": REQUEST_ID,
            "trace_id": TRACE_ID,
        }.items()
    )
    assert scored["duration_ms"] > 0
    assert scored["time"].endswith("+00:00")
    assert (unmatched["route"], unmatched["status"]) == ("unmatched", 404)
    assert unmatched["request_id"] != REQUEST_ID


def test_what_goes_wrong_inside_is_named_by_its_request(
    own_home: ServingHome, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("annual income 48000 of Jane Doe")

    with serving(own_home) as client:
        monkeypatch.setattr(ScoringService, "_decide", fail)
        answer = client.post("/v1/scores", json=APPLICATION, headers={"X-Request-ID": REQUEST_ID})

    [error], [request] = lines.of("unexpected error"), lines.of("request")
    assert answer.status_code == 500
    assert error["request_id"] == request["request_id"] == answer.headers["x-request-id"] == REQUEST_ID
    assert (request["status"], request["level"]) == (500, "error")
    assert "Jane Doe" not in lines.text
    assert "48000" not in lines.text


@pytest.mark.parametrize(("share", "event"), [(0.999, "challenger failed"), (None, "shadow failed")])
def test_a_version_that_fails_is_named_without_its_applicant(
    own_home: ServingHome, lines: Lines, monkeypatch: pytest.MonkeyPatch, share: float | None, event: str
) -> None:
    challenge_with_second(own_home.settings, share=share)
    score_features = Scorer.score

    def fail(scorer: Scorer, features: Any) -> Any:
        if scorer.contract.version == "v2":
            raise RuntimeError(f"cannot score Jane Doe: {features}")
        return score_features(scorer, features)

    with serving(own_home) as client:
        until_ready_says(client, lambda answer: answer["lenders"]["simulated"]["challenger"] is not None)
        monkeypatch.setattr(Scorer, "score", fail)
        body = APPLICATION | MORE | {"application_id": "app-of-jane", "borrower_id": "jane-doe"}
        answer = client.post("/v1/scores", json=body, headers={"X-Request-ID": REQUEST_ID})

    assert answer.status_code == 200
    [line] = lines.of(event)
    assert (line["error"], line["level"]) == ("RuntimeError", "error")
    if share is None:
        # scored later, when another request may run
        assert line["decision_id"] == answer.json()["decision_id"]
        assert "request_id" not in line
    else:
        assert line["request_id"] == REQUEST_ID
    assert not any(word in lines.text for word in ("jane", "Jane", "48000"))


def test_a_callers_token_is_told_by_a_digest() -> None:
    """The subject of a token may be a person's name."""
    found = caller_name(Caller("token of jane.doe@lender.example", frozenset(), "token", "jane.doe@lender.example"))

    assert found is not None
    assert re.fullmatch("token [0-9a-f]{12}", found)
    assert caller_name(None) is None
