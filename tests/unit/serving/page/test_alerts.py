"""The page `/alerts`: who sees which alerts, with what to do."""

from litestar import Litestar
from litestar.testing import TestClient

from serving.access.keys import KeyStore
from tests.model_factory import SOURCE
from tests.serving_home import ServingHome
from tests.unit.serving.page.parsed_page import Page
from tests.unit.warehouse.alerts.shown_alerts import alert, show

Client = TestClient[Litestar]


def test_a_caller_sees_the_alerts_of_their_lenders_with_what_to_do(own_client: Client, own_home: ServingHome) -> None:
    show(
        own_home.settings,
        alert("of-bank", source=SOURCE),
        alert("of-all", source=None, kind="contract", subjects="<script>", new_subjects=""),
        alert("of-other", source="other"),
    )
    key = KeyStore(own_home.settings.keys).create("person", ("decisions",), lenders=(SOURCE,))

    page = Page(own_client.get("/alerts", headers={"Authorization": f"Bearer {key}"}).text)

    assert [each.id for each in page.all("h2")] == ["alert-of-bank", "alert-of-all"]
    assert any("Look at missing values first" in each.text for each in page.all("p"))
    assert page.all("script") == []


def test_before_the_first_measurement_the_page_says_so(client: Client) -> None:
    assert "Nothing was measured yet." in client.get("/alerts").text


def test_alerts_are_shown_to_those_who_may_see_decisions(client: Client, shared_home: ServingHome) -> None:
    key = KeyStore(shared_home.settings.keys).create("metrics", ("metrics",))

    answer = client.get("/alerts", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 403
    assert "This key has no access to alerts" in answer.text
