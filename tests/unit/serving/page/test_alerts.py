"""The page `/alerts`: who sees which alerts, with what to do."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from serving.access.keys import KeyStore
from tests.model_factory import SOURCE
from tests.serving_home import ServingHome
from tests.unit.serving.page.parsed_page import Page
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.figures.published import publish_figures

Client = TestClient[Litestar]


def test_a_caller_sees_the_alerts_of_their_lenders_with_what_to_do(own_client: Client, own_home: ServingHome) -> None:
    show(
        own_home.settings,
        alert("of-bank", source=SOURCE),
        alert("of-all", source=None, kind="contract", subjects="<script>", new_subjects=""),
        alert("of-other", source="other"),
    )
    publish_figures(own_home.settings)
    key = KeyStore(own_home.settings.keys).create("person", ("decisions",), lenders=(SOURCE,))

    page = Page(own_client.get("/alerts", headers={"Authorization": f"Bearer {key}"}).text)

    assert [each.id for each in page.all("h2")] == ["alert-of-bank", "alert-of-all"]
    assert any("Look at missing values first" in each.text for each in page.all("p"))
    assert page.all("script") == []


def test_one_lender_is_chosen_and_each_alert_leads_to_its_picture(own_client: Client, own_home: ServingHome) -> None:
    show(
        own_home.settings,
        alert("of-bank", source=SOURCE, kind="performance", cause="auc"),
        alert("of-all", source=None, kind="contract"),
        alert("of-other", source="other"),
    )
    publish_figures(own_home.settings)

    page = Page(own_client.get("/alerts", params={"lender": SOURCE}).text)
    nowhere = own_client.get("/alerts?lender=nowhere")

    assert [each.id for each in page.all("h2")] == ["alert-of-bank", "alert-of-all"]
    assert page.one("a", href=f"/monitoring?lender={SOURCE}#performance")
    assert page.one("a", href="/alerts?lender=other").text == "other"
    assert page.one("a", href=f"/portfolio?lender={SOURCE}").text == "Portfolio"  # the chosen lender is kept
    assert "loanlake model rollback" in [each.text for each in page.all("code")]
    assert (nowhere.status_code, Page(nowhere.text).one("h1").text) == (404, "Lender not found")


def test_the_overview_counts_open_alerts_for_those_who_may_see_them(own_client: Client, own_home: ServingHome) -> None:
    """A person who opens the page in the morning sees that something is wrong without another click."""
    show(
        own_home.settings,
        alert("a", source=SOURCE),
        alert("b", source=SOURCE, cause="missing values", severity="high"),
        alert("c", source=SOURCE, kind="score_drift", state="acknowledged"),
        alert("d", source="other", kind="gate"),
    )
    keys = KeyStore(own_home.settings.keys)
    bound = {"Authorization": f"Bearer {keys.create('person', ('decisions',), lenders=(SOURCE,))}"}
    unscoped = {"Authorization": f"Bearer {keys.create('metrics', ('metrics',))}"}

    before = own_client.get("/", headers=bound)
    publish_figures(own_home.settings)
    after = Page(own_client.get("/", headers=bound).text)

    assert "Nothing was measured yet" in before.text
    listed = [each.text for each in after.all("li")]
    assert f"high Features have drifted (2), {SOURCE}" in listed
    assert not any("A candidate was refused" in each or "Scores have drifted" in each for each in listed)
    assert "2 open: what each means, and what to do." in [each.text for each in after.all("dd")]
    assert "drifted" not in own_client.get("/", headers=unscoped).text


def test_an_acknowledgement_shows_with_the_next_look(own_client: Client, own_home: ServingHome) -> None:
    show(own_home.settings, alert())
    publish_figures(own_home.settings)
    before = own_client.get("/alerts").text
    show(own_home.settings, alert(state="acknowledged"))
    publish_figures(own_home.settings)  # as `loanlake alerts ack` does

    after = own_client.get("/alerts").text

    assert ["1 open" in before, "1 acknowledged" in after] == [True, True]


def test_the_pages_never_open_the_lake(
    own_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first visit took three seconds, most of them to open the lake."""
    show(own_home.settings, alert())
    publish_figures(own_home.settings)

    def opened(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("duckdb.connect", opened)
    answers = [own_client.get(path) for path in ("/", "/alerts", "/models", "/monitoring", "/portfolio")]

    assert [each.status_code for each in answers] == [200] * 5
    assert "Features have drifted" in answers[0].text


def test_before_the_first_measurement_the_page_says_so(client: Client) -> None:
    assert "Nothing was measured yet" in client.get("/alerts").text


def test_alerts_are_shown_to_those_who_may_see_decisions(client: Client, shared_home: ServingHome) -> None:
    key = KeyStore(shared_home.settings.keys).create("metrics", ("metrics",))

    answer = client.get("/alerts", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 403
    assert "This key has no access to alerts" in answer.text
