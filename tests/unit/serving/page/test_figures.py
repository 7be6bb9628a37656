"""``/models``, ``/monitoring``, ``/portfolio``: who sees which, from files alone, without script."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.pages.preparing import prepare_pages
from serving.access.keys import KeyStore
from serving.page import figures
from tests.model_factory import SOURCE
from tests.prepared_tables import SCRIPT, fill_tables
from tests.serving_home import ServingHome
from tests.unit.serving.page.parsed_page import Page

Client = TestClient[Litestar]
PATHS = ("/models", "/monitoring", "/portfolio")


@pytest.fixture(scope="module")
def prepared(shared_home: ServingHome) -> ServingHome:
    fill_tables(shared_home.settings, feature=SCRIPT, segment=SCRIPT)
    prepare_pages(shared_home.settings, SOURCE)
    return shared_home


@pytest.mark.parametrize("path", PATHS)
def test_pages_run_nothing_and_say_what_a_lender_wrote_as_text(
    client: Client, prepared: ServingHome, path: str
) -> None:
    answer = client.get(path)

    page = Page(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert page.all("script", "style", "img") == []
    assert [each for each in page.elements if any(name.startswith(("on", "style")) for name in each.attributes)] == []
    assert "&lt;script&gt;" in answer.text
    assert [each.attributes["href"] for each in page.all("link")][:2] == ["/page/page.css", "/page/figures.css"]
    assert client.get("/page/figures.css").status_code == 200


@pytest.mark.parametrize("path", [*PATHS, "/monitoring?feature=%3Cscript%3Ealert(%271%27)%3C/script%3E"])
def test_pages_can_be_read_without_seeing_them(client: Client, prepared: ServingHome, path: str) -> None:
    page = Page(client.get(path).text)

    ids = [each.id for each in page.elements if each.id]
    assert len(ids) == len(set(ids))
    assert len(page.all("h1")) == 1
    for drawing in page.all("svg"):
        named = str(drawing.attributes.get("aria-labelledby", "")).split()
        assert drawing.attributes.get("aria-hidden") == "true" or (len(named) == 2 and set(named) <= set(ids))
    assert all("scope" in each.attributes for each in page.all("th"))


def test_a_feature_opens_its_two_distributions(client: Client, prepared: ServingHome) -> None:
    page = Page(client.get("/monitoring", params={"feature": SCRIPT, "month": "2025-01"}).text)

    assert page.one("h1").text == f"Feature {SCRIPT}"
    rows = [row.text.replace("\N{NO-BREAK SPACE}", " ") for row in page.all("tr")]
    assert "to 160.0 %20.0 %" in rows


def test_an_unknown_feature_or_lender_is_said(client: Client, prepared: ServingHome) -> None:
    feature, lender = client.get("/monitoring?feature=no"), client.get("/portfolio?lender=no")

    assert (feature.status_code, Page(feature.text).one("h1").text) == (404, "Feature not found")
    assert (lender.status_code, Page(lender.text).one("h1").text) == (404, "Lender not found")


@pytest.mark.parametrize(
    "address",
    ["/?lendr=x", "/alerts?all=1", "/models?feature=x", "/portfolio?month=2025-01", "/monitoring?month=2025-01"],
)
def test_a_parameter_that_a_page_does_not_have_is_never_ignored(
    client: Client, prepared: ServingHome, address: str
) -> None:
    """A page that ignores it would be read as the answer to it."""
    answer = client.get(address)

    assert answer.status_code == 400
    assert "arameter" in Page(answer.text).one("h1").text


def test_links_lead_to_each_section_of_a_page(client: Client, prepared: ServingHome) -> None:
    """Without them a keyboard needs a thousand steps through the drift map."""
    page = Page(client.get("/monitoring").text)

    sections = [each.id for each in page.all("h2")]
    assert sections
    assert [f"#{each}" for each in sections] == [
        each.attributes["href"]
        for each in page.all("a")
        if (each.attributes["href"] or "").startswith("#") and each.text != "Skip to the content"
    ]


@pytest.mark.parametrize("path", PATHS)
def test_only_callers_who_may_see_decisions_of_the_lender_see_them(
    client: Client, prepared: ServingHome, path: str
) -> None:
    keys = KeyStore(prepared.settings.keys)
    metrics = keys.create("metrics", ["metrics"])
    other = keys.create("other", ["decisions"], lenders=["other"])

    without_scope = client.get(path, headers={"Authorization": f"Bearer {metrics}"})
    elsewhere = client.get(f"{path}?lender={SOURCE}", headers={"Authorization": f"Bearer {other}"})
    unnamed = client.get(path, headers={"Authorization": f"Bearer {other}"})

    assert (without_scope.status_code, elsewhere.status_code) == (403, 403)
    assert "2025-01" not in without_scope.text + elsewhere.text + unnamed.text


def test_the_index_says_what_each_page_says(client: Client, prepared: ServingHome) -> None:
    page = Page(client.get("/").text)

    assert page.one("a", href=f"/monitoring?lender={SOURCE}").text == "Monitoring"
    assert "2025-03: 1 of 1 features have drifted." in [each.text for each in page.all("dd")]


def test_a_page_is_rendered_once_for_each_change(
    own_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawing takes the processor from scores: a page that is looked at again costs a look at its file."""
    fill_tables(own_home.settings)
    prepare_pages(own_home.settings, SOURCE)
    drawn: list[object] = []
    draw = figures.sections_html
    monkeypatch.setattr(figures, "sections_html", lambda sections: drawn.append(1) or draw(sections))

    own_client.get("/portfolio")
    own_client.get("/portfolio")
    n_before = len(drawn)
    prepare_pages(own_home.settings, SOURCE)
    own_client.get("/portfolio")

    assert (n_before, len(drawn)) == (1, 2)


def test_what_was_not_prepared_is_said_with_the_command(own_client: Client, own_home: ServingHome) -> None:
    found = {path: Page(own_client.get(path).text).one("main").text for path in PATHS}

    assert all("were not prepared yet. loanlake run simulated" in text for text in found.values())
    assert "version 1" in found["/models"]  # the home's files say what is in service


def test_a_damaged_page_is_no_traceback(own_client: Client, own_home: ServingHome) -> None:
    path = own_home.settings.page(SOURCE, "portfolio")
    path.parent.mkdir(parents=True)
    path.write_text("{")

    answer = own_client.get("/portfolio")

    assert "The page cannot be read: pages/simulated/portfolio.json must hold" in Page(answer.text).one("main").text
    assert str(own_home.settings.home) not in answer.text


def test_a_caller_chooses_among_the_lenders_that_they_may_reach(own_client: Client, own_home: ServingHome) -> None:
    own_home.settings.deployment("other").parent.mkdir(parents=True)
    bound = KeyStore(own_home.settings.keys).create("clerk", ["decisions"], lenders=[SOURCE])

    everyone = Page(own_client.get("/portfolio").text)
    clerk = Page(own_client.get("/portfolio", headers={"Authorization": f"Bearer {bound}"}).text)

    assert everyone.one("a", href="/portfolio?lender=other").text == "other"
    assert "/portfolio?lender=other" not in [each.attributes.get("href") for each in clerk.all("a")]
    assert "other" in Page(own_client.get("/portfolio?lender=other").text).one("main").text
