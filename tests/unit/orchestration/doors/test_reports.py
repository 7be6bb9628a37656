"""The reports' pages: an index that a person can read, and files; never a listing of the home."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from orchestration.doors.reports import index_page, reports_app
from warehouse.settings import Settings


def write_report(home: Settings, source: str, month: str, version: int = 1) -> Path:
    path = home.reports / "drift" / f"default_risk_{source}-{version}" / f"{month}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<p>report</p>")
    about = {"source": source, "model_name": f"default_risk_{source}", "model_version": version, "month": month}
    about |= {"n_decisions": 12_345, "n_sample_decisions": 5_000}
    path.with_suffix(".json").write_text(json.dumps({"about": about}))
    return path


def test_reports_are_listed_by_lender_newest_month_first(home: Settings) -> None:
    for source, month, version in (("b", "2024-01", 1), ("a", "2023-12", 1), ("a", "2024-02", 1), ("a", "2024-02", 10)):
        write_report(home, source, month, version)

    page = index_page(home)

    listed = [line for line in page.splitlines() if line.startswith(("<h2>", "<tr><td>"))]
    assert [line.partition('href="')[2].partition('"')[0] or line for line in listed] == [
        "<h2>a</h2>",
        "/drift/default_risk_a-10/2024-02.html",
        "/drift/default_risk_a-1/2024-02.html",
        "/drift/default_risk_a-1/2023-12.html",
        "<h2>b</h2>",
        "/drift/default_risk_b-1/2024-01.html",
    ]
    assert "<td>12,345<td>5,000" in page


def test_models_are_listed_with_what_the_gates_said(home: Settings) -> None:
    for name, trained_at, refused_by in (
        ("1", "2024-01-02 03:04", []),
        ("2", "2024-02-02 03:04", ["auc_reaches_floor"]),
    ):
        path = home.reports / "models" / "a" / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        about = {"source": "a", "trained_at": trained_at, "family": "logistic", "auc": 0.71, "refused_by": refused_by}
        path.with_suffix(".json").write_text(json.dumps({"about": about}))

    assert [line for line in index_page(home).splitlines() if "/models/" in line] == [
        '<tr><td><a href="/models/a/2.html">2024-02-02 03:04</a><td>logistic<td>0.7100<td>refused by auc_reaches_floor',
        '<tr><td><a href="/models/a/1.html">2024-01-02 03:04</a><td>logistic<td>0.7100<td>passed',
    ]


def test_without_reports_the_index_says_how_one_is_written(home: Settings) -> None:
    assert "There is no report yet" in index_page(home)


def test_a_report_that_is_being_written_is_left_out(home: Settings) -> None:
    write_report(home, "a", "2024-01").with_suffix(".json").unlink()
    write_report(home, "a", "2024-02").with_suffix(".json").write_text('{"about"')

    assert "2024-0" not in index_page(home)


def test_names_of_lenders_are_text_not_markup(home: Settings) -> None:
    path = write_report(home, "a", "2024-01")
    path.with_suffix(".json").write_text(
        json.dumps({"about": json.loads(path.with_suffix(".json").read_text())["about"] | {"source": "<script>"}})
    )

    assert "<script>" not in index_page(home)


def test_a_walks_picture_is_listed(home: Settings) -> None:
    path = home.reports / "walk_forward" / "a-main.png"
    path.parent.mkdir(parents=True)
    path.touch()

    assert '<a href="/walk_forward/a-main.png">a-main</a>' in index_page(home)


def test_a_report_opens_from_the_index(home: Settings) -> None:
    write_report(home, "a", "2024-01")

    assert TestClient(reports_app(home)).get("/drift/default_risk_a-1/2024-01.html").text == "<p>report</p>"


@pytest.mark.parametrize(
    "path", ["/drift/", "/drift", "/drift/default_risk_a-1/", "/drift/../../secret", "/..%2fsecret"]
)
def test_no_directory_is_listed_and_no_other_file_is_read(home: Settings, path: str) -> None:
    write_report(home, "a", "2024-01")
    (home.home / "secret").write_text("secret")

    assert TestClient(reports_app(home)).get(path).status_code == 404


def test_a_link_out_of_the_reports_is_not_followed(home: Settings) -> None:
    write_report(home, "a", "2024-01")
    (home.home / "secret").write_text("secret")
    (home.reports / "drift" / "secret").symlink_to(home.home / "secret")

    assert TestClient(reports_app(home)).get("/drift/secret").status_code == 404
