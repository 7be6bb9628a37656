"""Attacks on the pages of `loanlake up`, played against a door before a server that notes what reaches it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from orchestration.doors import SignIn
from orchestration.doors.door import Door
from orchestration.doors.rules import PageRule, dagster_rule, mlflow_rule, reading_only
from warehouse.settings import Settings

PAGE = "http://127.0.0.1:3000"
WEBSOCKET = "ws://127.0.0.1:3000/graphql"
MUTATION = "mutation { launchRun { __typename } }"
IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FRAME = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
OWN = {"Origin": PAGE, "Sec-Fetch-Site": "same-origin"}


@dataclass
class Server:
    """Notes each request and echoes WebSockets: whatever is in ``reached`` could have launched a run."""

    reached: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self.reached.append(f"WEBSOCKET {scope['path']}")
            websocket = WebSocket(scope, receive, send)
            await websocket.accept(subprotocol="graphql-ws")
            await websocket.send_text(await websocket.receive_text())
            return
        self.reached.append(f"{scope['method']} {scope['path']}")
        await PlainTextResponse("from the server")(scope, receive, send)


@dataclass
class Played:
    """A door, the server behind it, and a browser that may be signed in."""

    server: Server
    browser: TestClient
    sign_in: SignIn


@pytest.fixture
def play(home: Settings) -> Iterator[Callable[..., Played]]:
    """``play(dagster_rule)``: a browser of a person who is signed in; ``signed_in=False``: of one who is not."""
    opened: list[TestClient] = []

    def prepare(rule: PageRule = dagster_rule, *, signed_in: bool = True) -> Played:
        server, sign_in = Server(), SignIn(home)
        browser = TestClient(Door("Page", server, sign_in, rule, health="/server_info"), base_url=PAGE)
        opened.append(browser)
        if signed_in:
            browser.get(f"/-/sign-in?token={sign_in.new_token()}", follow_redirects=False)
        return Played(server, browser, sign_in)

    yield prepare
    for browser in opened:
        browser.close()


def graphql(browser: TestClient, headers: dict[str, str], query: str = MUTATION) -> httpx.Response:
    return browser.post("/graphql", json={"query": query}, headers=headers)


def test_a_signed_in_person_launches_a_run_from_the_page(play: Callable[..., Played]) -> None:
    played = play()

    answer = graphql(played.browser, OWN)

    assert (answer.status_code, answer.text) == (200, "from the server")
    assert played.server.reached == ["POST /graphql"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/graphql", "/%67raphql", "/graphql/", "//graphql", "/GraphQL"])
@pytest.mark.parametrize("headers", [IMAGE, LINK, {}, OWN], ids=["image", "link", "old browser", "own page"])
def test_no_operation_in_an_address_reaches_dagster(
    play: Callable[..., Played], method: str, path: str, headers: dict[str, str]
) -> None:
    """An ``<img>`` of any page launched a run, whose model was served nine minutes later."""
    played = play()

    answer = played.browser.request(method, f"{PAGE}{path}?query={MUTATION}", headers=headers)

    assert answer.status_code in (403, 405)
    assert played.server.reached == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost@evil.example", "10.0.0.1", ""]
)
def test_a_foreign_host_is_refused(play: Callable[..., Played], host: str) -> None:
    """A name server that points its own name at 127.0.0.1 makes any page "the same origin" as this one."""
    played = play()

    answers = [
        played.browser.get("/runs", headers={"Host": host}),
        graphql(played.browser, {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}),
        played.browser.get(f"/-/sign-in?token={played.sign_in.new_token()}", headers={"Host": host}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert played.server.reached == []


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "localhost:13000", "[::1]:3000", "localhost"])
def test_this_machine_has_several_names_and_tunnels_end_at_other_ports(play: Callable[..., Played], host: str) -> None:
    played = play(signed_in=False)

    answer = played.browser.get("/-/health", headers={"Host": host})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:9999",
        "http://localhost:3000",
        "null",
        "file://",
        "ftp://127.0.0.1:3000",
    ],
)
def test_another_origin_is_refused(play: Callable[..., Played], origin: str) -> None:
    played = play()

    answers = [
        graphql(played.browser, {"Origin": origin}),
        played.browser.get("/runs", headers={"Origin": origin}),
        played.browser.options("/graphql", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)
    assert played.server.reached == []


def test_a_post_that_names_no_origin_is_refused(play: Callable[..., Played]) -> None:
    played = play()

    assert graphql(played.browser, {}).status_code == 403
    assert played.server.reached == []


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; application/json",
        "application/graphql",
        None,
    ],
)
def test_a_form_is_refused_even_from_the_page_itself(play: Callable[..., Played], content_type: str | None) -> None:
    """These types other sites may send without asking; Dagster then reads the operation from the address."""
    played = play()
    headers = OWN | ({"Content-Type": content_type} if content_type else {})

    answer = played.browser.post(f"/graphql?query={MUTATION}", content=b"query=x", headers=headers)

    assert answer.status_code == 415
    assert played.server.reached == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_are_refused(play: Callable[..., Played], method: str) -> None:
    played = play()

    assert played.browser.request(method, "/runs", headers=OWN).status_code == 405
    assert played.server.reached == []


@pytest.mark.parametrize("headers", [IMAGE, FRAME], ids=["image of another site", "frame of another port"])
def test_other_sites_embed_nothing(play: Callable[..., Played], headers: dict[str, str]) -> None:
    played = play()

    assert played.browser.get("/runs", headers=headers).status_code == 403
    assert played.server.reached == []


def test_other_sites_may_link_here(play: Callable[..., Played]) -> None:
    played = play()

    answer = played.browser.get("/runs", headers=LINK)

    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_another_local_user_reaches_nothing_without_a_session(play: Callable[..., Played]) -> None:
    """Every user of the machine can open the port; only the home's owner can make a link."""
    played = play(signed_in=False)

    answers = [
        played.browser.get("/runs"),
        graphql(played.browser, OWN),
        graphql(played.browser, OWN | {"Cookie": f"{played.sign_in.cookie}=guessed"}),
        graphql(played.browser, OWN | {"Cookie": f"{played.sign_in.cookie}="}),
    ]

    assert [answer.status_code for answer in answers] == [401] * 4
    assert "loanlake sign-in" in answers[0].text
    assert played.server.reached == []


def test_health_is_open_and_says_nothing_else(play: Callable[..., Played]) -> None:
    played = play(signed_in=False)

    answer = played.browser.get("/-/health")

    assert (answer.status_code, answer.text) == (200, "up\n")
    assert played.server.reached == ["GET /server_info"]


def test_the_cookie_is_out_of_reach_of_scripts_and_of_what_other_sites_send(play: Callable[..., Played]) -> None:
    played = play(signed_in=False)

    answer = played.browser.get(f"/-/sign-in?token={played.sign_in.new_token()}", follow_redirects=False)

    assert answer.status_code == 303
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]


def test_a_link_signs_one_browser_in(play: Callable[..., Played]) -> None:
    played, other = play(signed_in=False), play(signed_in=False)
    link = f"/-/sign-in?token={played.sign_in.new_token()}"
    played.browser.get(link, follow_redirects=False)

    answer = other.browser.get(link, follow_redirects=False)

    assert (answer.status_code, other.browser.get("/runs").status_code) == (401, 401)
    assert "works once" in answer.text
    assert played.browser.get("/runs").status_code == 200


def test_a_link_is_not_used_up_by_a_look_at_its_headers(play: Callable[..., Played]) -> None:
    played = play(signed_in=False)
    link = f"/-/sign-in?token={played.sign_in.new_token()}"
    played.browser.head(link)

    assert played.browser.get(link, follow_redirects=False).status_code == 303


def websocket(browser: TestClient, headers: dict[str, str]) -> str:
    with browser.websocket_connect(WEBSOCKET, subprotocols=["graphql-ws"], headers=headers) as opened:
        opened.send_text("start")
        return opened.receive_text()


def test_a_person_follows_a_run_over_a_websocket(play: Callable[..., Played]) -> None:
    played = play()

    assert websocket(played.browser, {"Origin": PAGE}) == "start"


@pytest.mark.parametrize(
    ("signed_in", "headers"),
    [
        (True, {"Origin": "http://evil.example"}),
        (True, {"Origin": "http://127.0.0.1:9999"}),
        (True, {"Origin": "null"}),
        (True, {}),
        (True, {"Origin": "http://evil.example", "Host": "evil.example"}),
        (False, {"Origin": PAGE}),
    ],
    ids=["other site", "other port", "no origin to name", "none named", "rebinding", "not signed in"],
)
def test_a_websocket_from_elsewhere_is_refused(
    play: Callable[..., Played], signed_in: bool, headers: dict[str, str]
) -> None:
    """A WebSocket carries mutations too, and browsers let any page open one to any address."""
    played = play(signed_in=signed_in)

    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
        websocket(played.browser, headers)

    assert played.server.reached == []


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/2.0/mlflow/model-versions/set-tag",
        "/api/2.0/mlflow/model-versions/set-tag",
        "/ajax-api/2.0/mlflow/upload-artifact",
        "/ajax-api/2.0/mlflow/runs/log-batch",
        "/ajax-api/2.0/mlflow/runs/search/../log-batch",
        "/ajax-api/2.0/mlflow/registered-models/alias",
        "/anything/ajax-api/2.0/mlflow/runs/search",
    ],
)
def test_nobody_changes_models_through_mlflow(play: Callable[..., Played], path: str) -> None:
    """An empty tag `refused_by` made a refused version pass "gates that are never overridden"."""
    played = play(mlflow_rule)

    answer = played.browser.post(f"{PAGE}{path}", json={"key": "refused_by", "value": ""}, headers=OWN)

    assert answer.status_code in (400, 403)
    assert played.server.reached == []


@pytest.mark.parametrize("path", ["/ajax-api/2.0/mlflow/runs/search", "/graphql"])
def test_a_person_searches_in_mlflow(play: Callable[..., Played], path: str) -> None:
    played = play(mlflow_rule)

    assert played.browser.post(path, json={}, headers=OWN).status_code == 200


def test_reports_are_read_only(play: Callable[..., Played]) -> None:
    played = play(reading_only)

    assert played.browser.post("/", json={}, headers=OWN).status_code == 405
    assert played.server.reached == []
