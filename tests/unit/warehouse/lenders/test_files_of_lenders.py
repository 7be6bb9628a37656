"""The project's lender files, and what dbt and ``make lint`` make of a project's."""

import json
from pathlib import Path

import pytest

from warehouse.lenders.rules import check_lenders, lenders_of_project, read_lender, settings_text


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two lenders, one of which sets something."""
    (tmp_path / "lenders").mkdir()
    (tmp_path / "dbt_project.yml").write_text("vars: {lenders: {bank: [applications], union: [applications]}}")
    (tmp_path / "lenders" / "bank.yml").write_text("label: {window_months: 12}")
    (tmp_path / "lenders" / "union.yml").write_text("title: Union's loans")
    return tmp_path


def test_the_projects_own_files_are_complete() -> None:
    assert check_lenders() == ()


@pytest.mark.parametrize(
    ("lender", "lags"), [("simulated", (4, 4)), ("lending_club", (5, 1)), ("uci_credit_card", (0, 0)), ("new", (5, 1))]
)
def test_outcomes_are_awaited_as_long_as_each_lender_needs(lender: str, lags: tuple[int, int]) -> None:
    label = read_lender(lender).label

    assert (label.window_months, label.outcome_lag_months, label.window_lag_months) == (None, *lags)


def test_dbt_gets_every_lender_with_its_defaults(project: Path) -> None:
    settings = json.loads(settings_text(project))

    assert [(each["source"], each["label"]["window_months"]) for each in settings["lenders"]] == [
        ("bank", 12),
        ("union", None),
    ]
    assert settings["lenders"][0]["cohort"] == {"segments": ["purpose", "region"], "months": 12, "smoothing": 50}
    assert settings["default"]["set_aside"] == {"max_share": 0.2, "accepted_files": []}


def test_a_file_and_a_line_that_lack_each_other_are_named(project: Path) -> None:
    (project / "lenders" / "union.yml").rename(project / "lenders" / "onion.yml")

    [file, line] = check_lenders(project)

    assert "onion.yml must have a line in `vars: lenders` of dbt_project.yml: found none; add `onion: [" in file
    assert line.startswith("union, in `vars: lenders` of dbt_project.yml, must have its file ")


def test_every_broken_file_is_named(project: Path) -> None:
    (project / "lenders" / "bank.yml").write_text("lable: {window_months: 12}")
    (project / "lenders" / "union.yml").write_text("split: {tune_months: 0}")

    messages = check_lenders(project)

    assert [message.partition(": found")[0].rpartition("/")[2] for message in messages] == [
        "bank.yml has an unknown key",
        "union.yml: split.tune_months must be a whole number of months, 1 to 600",
    ]
    assert lenders_of_project(project) == {"bank", "union"}
