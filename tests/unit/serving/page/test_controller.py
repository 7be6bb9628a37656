"""The page at ``/``: what it shows to whom, that every value is escaped, and that it can be read without seeing it."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.registry.deployment import CanaryPlan, read_deployment
from ml.registry.registered_version import record_version
from ml.rollout.challenge import start_challenge
from serving.access.keys import KeyStore
from serving.app import create_app
from serving.options import ServingOptions
from tests.model_factory import MODEL_NAME, SOURCE, register_model, shared_bundle
from tests.registered_version import registered_version
from tests.serving_home import APPLICATION, RISKY, ServingHome, until_ready_says
from tests.unit.serving.page.parsed_page import Page
from warehouse import decision_log
from warehouse.decision_log import ingest_into_lake
from warehouse.settings import PageUrls, Settings

Client = TestClient[Litestar]
SCRIPT = "<script>alert('1')</script>"


def signed_in(home: ServingHome, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KeyStore(home.settings.keys).create('person', scopes)}"}


def decide(client: Client, **changed: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/scores", json=RISKY | changed).json()
    return answer


def begin_canary(home: Settings) -> None:
    champion = read_deployment(home, SOURCE)
    assert champion is not None
    plan = CanaryPlan(steps=(0.1, 0.5), dwell_minutes=30)
    second = register_model(home, shared_bundle(seed=11), version=2)
    start_challenge(home, second, against=champion, share=None, plan=plan, by="ann")


def test_it_tells_state_deployment_and_the_newest_decisions(client: Client) -> None:
    decided = decide(client, application_id="app-on-the-page")

    answer = client.get("/")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    link = page.one("a", href=f"/decisions?id={decided['decision_id']}")
    assert page.one("h1").text == "Ready"
    assert f"{MODEL_NAME} version 1" in [each.text for each in page.all("h3")]
    assert page.one("svg", role="img").attributes["aria-label"] == "Champion 100\N{NO-BREAK SPACE}%"
    assert link.text == "app-on-the-page"


@pytest.mark.parametrize("path", ["/", "/decisions?id=x", "/page/page.css"])
def test_a_browser_that_shows_no_key_is_asked_for_one(client: Client, path: str) -> None:
    asked = client.get(path, headers={"Authorization": "", "Accept": "text/html"})

    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")


def test_a_program_is_sent_to_the_description(client: Client) -> None:
    answer = client.get("/", headers={"Accept": "application/json"}, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (302, "/schema/openapi.json")


def test_what_a_key_may_not_see_is_left_out(client: Client, shared_home: ServingHome) -> None:
    decided = decide(client, application_id="someone-s-application")
    headers = signed_in(shared_home, "metrics")

    overview = client.get("/", headers=headers)
    decision = client.get(f"/decisions?id={decided['decision_id']}", headers=headers)

    assert (overview.status_code, decision.status_code) == (200, 403)
    assert "someone-s-application" not in overview.text + decision.text
    assert Page(overview.text).all("form") == []
    assert [each.text for each in Page(overview.text).all("h2")] == ["Deployment", "Recent decisions"]
    assert "a key that has the scope decisions" in Page(decision.text).one("p", **{"class": "notice"}).text


def test_a_decision_is_found_by_its_id_with_reasons_as_bars_and_figures(client: Client) -> None:
    decided = decide(client)

    page = Page(client.get("/decisions", params={"id": f" {decided['decision_id']} "}).text)

    rows = [row.text for row in page.all("tr")]
    longest = next(each for each in page.all("rect") if each.attributes.get("class") == "against")
    assert page.one("h1").text == f"Application {RISKY['application_id']}: decline"
    assert longest.attributes["width"] == "100.0%"
    for reason in decided["reasons"]:
        [row] = [text for text in rows if text.startswith(reason["text"])]
        assert f"{reason['contribution']:+.2f}".replace("-", "\N{MINUS SIGN}") in row
    assert "requested_amount90,000" in rows
    assert "declined from" in page.one("svg", role="img").attributes["aria-label"]
    assert page.one("a", href=f"/v1/decisions/{decided['decision_id']}").text == "The same as JSON"


def test_an_approval_says_why_it_has_no_reasons(client: Client) -> None:
    decided = client.post("/v1/scores", json=APPLICATION).json()

    assert (
        "reasons are given for applications that were declined or referred"
        in client.get(f"/decisions?id={decided['decision_id']}").text
    )


def test_a_decision_is_found_after_the_outbox_let_it_go_and_no_longer_listed(
    own_client: Client, own_home: ServingHome
) -> None:
    """To list it from the lake took a visitor seconds."""
    decided = decide(own_client, application_id="app-of-the-lake")
    before = own_client.get("/").text
    ingest_into_lake(own_home.settings)
    decision_log.prune(own_home.settings, older_than=timedelta(0))

    after = own_client.get("/").text

    assert "app-of-the-lake" in before
    assert "None in the API's log, which keeps 30 days" in Page(after).one("main").text
    assert own_client.get(f"/decisions?id={decided['decision_id']}").status_code == 200


@pytest.mark.parametrize("asked", ["nothing", SCRIPT, "x" * 5000, "' or 1=1 --"])
def test_an_unknown_id_is_told_so(client: Client, asked: str) -> None:
    answer = client.get("/decisions", params={"id": asked})

    page = Page(answer.text)
    assert answer.status_code == 404
    assert page.one("h1").text == "Decision not found"
    assert page.one("input", id="decision-id").attributes["value"] == (asked if len(asked) < 100 else "x" * 100 + "…")


def test_no_id_leads_back(client: Client) -> None:
    answer = client.get("/decisions", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (302, "/")


def test_what_applicants_and_people_wrote_is_text_and_never_markup(own_client: Client, own_home: ServingHome) -> None:
    message = f"found {SCRIPT}"
    refused = registered_version(
        source=SOURCE, name=MODEL_NAME, version=2, refused_by=("test_months",), gate_messages=(message,)
    )
    record_version(own_home.settings, refused)
    body = {"reason": SCRIPT, "override": ["test_months"]}
    assert own_client.post("/v1/models/2/approval", json=body).status_code == 202
    decided = decide(own_client, application_id=SCRIPT, borrower_id=f'"{SCRIPT}')

    overview, decision = own_client.get("/").text, own_client.get(f"/decisions?id={decided['decision_id']}").text

    assert Page(overview).all("script") == Page(decision).all("script") == []
    assert overview.count("&lt;script&gt;") == 3  # the gate's message, the approval's reason, the application
    assert f"Application {SCRIPT}: decline" == Page(decision).one("h1").text


def test_versions_not_in_service_are_shown_with_their_gates(own_client: Client, own_home: ServingHome) -> None:
    message = "1 of 500 rows differ."
    versions = [
        registered_version(source=SOURCE, name=MODEL_NAME, version=2),
        registered_version(
            source=SOURCE,
            name=MODEL_NAME,
            version=3,
            refused_by=("offline_equals_online",),
            gate_messages=(message,),
        ),
    ]
    for version in versions:
        record_version(own_home.settings, version)

    page = Page(own_client.get("/").text)

    refused, waiting = [each.text for each in page.all("article")][-2:]
    assert f"offline equals online: {message} It cannot be overridden." in refused
    assert "loanlake model approve 3" not in refused
    assert "loanlake model approve 2 --lender simulated --reason" in waiting
    assert page.all("form") == [page.one("form", role="search")]  # nothing on the page changes anything


def test_a_canary_is_drawn_with_its_share_and_its_step(own_client: Client, own_home: ServingHome) -> None:
    begin_canary(own_home.settings)
    until_ready_says(own_client, lambda answer: answer["lenders"]["simulated"]["challenger"] is not None)

    page = Page(own_client.get("/").text)

    drawn = [each.attributes for each in page.all("rect") if each.attributes.get("height") == "26"]
    assert [(each["x"], each["width"]) for each in drawn] == [("0%", "90.0%"), ("90.0%", "10.0%")]
    assert [each.text for each in page.all("li") if "aria-current" in each.attributes] == ["10 % now"]
    assert "at least 30 minutes" in page.one("main").text
    assert "challenge" in [each.text for each in page.all("td")]


def test_without_a_model_or_with_damaged_files_it_still_tells(home: Settings) -> None:
    key = KeyStore(home.keys).create("person", ["admin"])
    home.deployment(SOURCE).parent.mkdir(parents=True)
    home.deployment(SOURCE).write_text("{")
    home.approvals(SOURCE).write_text("{\n")
    with TestClient(create_app(home)) as client:
        answer = client.get("/", headers={"X-API-Key": key})

    page = Page(answer.text)
    assert answer.status_code == 200
    assert page.one("h1").text == "Unavailable"
    assert "No model is served." in page.one("main").text
    assert "Registered and approved versions cannot be read" in page.one("main").text
    assert "None in the API's log" in page.one("main").text


def test_it_loads_nothing_but_its_own_style_and_icon_and_runs_nothing(client: Client) -> None:
    answer = client.get("/")

    page = Page(answer.text)
    loaded = [each.attributes["href"] for each in page.all("link")]
    assert loaded == ["/page/page.css", "/page/icon.svg"]
    assert {client.get(str(path)).status_code for path in loaded} == {200}
    assert page.all("script", "style", "img") == []
    assert [each for each in page.elements if any(name.startswith(("on", "style")) for name in each.attributes)] == []
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/page/..%2fcontroller.py").status_code == 404


def test_links_lead_where_the_settings_say(own_home: ServingHome) -> None:
    options = ServingOptions(page_urls=PageUrls(dagster="https://dagster.lender.example"))
    with TestClient(create_app(own_home.settings, options)) as client:
        page = Page(client.get("/", headers=own_home.headers).text)

    assert page.one("a", href="https://dagster.lender.example").text == "Dagster"
    training_mode = "http://127.0.0.1:5000/#/experiments?workflowType=machine_learning"
    assert page.one("a", href=training_mode).text == "MLflow"


@pytest.mark.parametrize("path", ["/", "/decisions?id={}", "/decisions?id=unknown"])
def test_it_can_be_read_without_seeing_it(own_client: Client, own_home: ServingHome, path: str) -> None:
    """Landmarks, headings in order, labels, table headers, and a text for every drawing that is not decoration."""
    begin_canary(own_home.settings)
    until_ready_says(own_client, lambda answer: answer["lenders"]["simulated"]["challenger"] is not None)
    decided = decide(own_client)

    page = Page(own_client.get(path.format(decided["decision_id"])).text)

    ids = [each.id for each in page.elements if each.id]
    levels = [int(each.tag[1]) for each in page.all("h1", "h2", "h3", "h4")]
    named = [str(each.attributes["aria-labelledby"]) for each in page.elements if "aria-labelledby" in each.attributes]
    assert page.one("html").attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("header", "main", "footer", "h1")] == [1] * 4
    assert [each.attributes["aria-label"] for each in page.all("nav")] == ["Pages", "Related pages"]
    assert page.one("a", href="#content").text.startswith("Skip")
    assert page.one("title").text.endswith("· Loanlake")
    assert len(ids) == len(set(ids))
    assert set(named) <= set(ids)
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert page.one("label").attributes["for"] == page.one("input").id
    assert all("scope" in each.attributes for each in page.all("th"))
    for drawing in page.all("svg"):
        assert ("aria-label" in drawing.attributes) is (drawing.attributes.get("role") == "img")
        assert drawing.attributes.get("aria-hidden") == "true" or "aria-label" in drawing.attributes
