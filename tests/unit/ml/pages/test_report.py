"""The report: one file, without network or script, about one month."""

import base64
import hashlib
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from ml.pages.commands import report
from ml.pages.report import write_report
from tests.model_factory import MODEL_NAME, SOURCE, publish_model
from tests.prepared_tables import SCRIPT, fill_tables
from tests.unit.serving.page.parsed_page import Page
from warehouse.errors import NotFoundError
from warehouse.settings import Settings


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("report") / "home")})
    publish_model(settings)
    fill_tables(settings, feature=SCRIPT, segment=SCRIPT)
    return settings


def test_it_is_one_file_that_loads_and_runs_nothing(lender: Settings) -> None:
    html = write_report(lender, SOURCE, date(2025, 3, 1)).html

    page = Page(html)
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"
    assert page.all("script", "link", "img") == []
    assert all(str(each.attributes["href"]).startswith("#") for each in page.all("a") if "href" in each.attributes)
    assert SCRIPT in page.one("main").text


def test_its_links_lead_to_ids_and_no_id_is_there_twice(lender: Settings) -> None:
    page = Page(write_report(lender, SOURCE, date(2025, 3, 1)).html)

    ids = [each.id for each in page.elements if each.id]
    links = {str(each.attributes["href"])[1:] for each in page.all("a")}
    assert len(ids) == len(set(ids))
    assert links <= set(ids)
    assert any(link.startswith("bins-") for link in links)


def test_it_has_the_figures_and_alerts_of_its_month(lender: Settings) -> None:
    page = Page(write_report(lender, SOURCE, date(2025, 3, 1)).html)

    rows = [row.text.replace("\N{NO-BREAK SPACE}", " ") for row in page.all("tr")]
    assert "Approved50.0 %" in rows
    assert "Features that have drifted1 of 1" in rows
    assert f"feature driftlow{SCRIPT}{SCRIPT} has drifted" in rows


def test_it_says_which_version_it_is_about_and_why(lender: Settings) -> None:
    page = Page(write_report(lender, SOURCE, date(2025, 3, 1)).html)

    [said] = [each.text for each in page.all("p") if each.text.startswith("About ")]
    assert said.startswith(f"About {MODEL_NAME} version 1: nothing was in service in 2025-03")


def test_a_month_without_applications_is_refused_with_those_that_have_some(lender: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"found 2025-02, and they are of 2025-01 to 2025-03"):
        write_report(lender, SOURCE, date(2025, 2, 1))


def test_the_command_writes_the_newest_month_unless_named(
    lender: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANLAKE_HOME", str(lender.home))
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(report, [])
    refused = CliRunner().invoke(report, ["--month", "March"])

    assert done.output == "written to report-simulated-2025-03.html\n"
    assert (tmp_path / "report-simulated-2025-03.html").exists()
    assert (refused.exit_code, "must be a month as YYYY-MM: found 'March'" in refused.output) == (2, True)
