"""A lender's own settings are read whole, or the run stops and names what it cannot read."""

import json
from pathlib import Path

import pytest

from warehouse.errors import SettingError
from warehouse.lenders.lender import LabelSettings, MovedLimit, PublishSetting
from warehouse.lenders.rules import check_lenders, lenders_of_project, read_lender, settings_text

FILE = """
label: {window_months: 12}
split:
policy: {bands: {low: 0.1, high: 1}}
request: {required: [annual_income]}
limits: {annual_rate: [0, 5]}
gates:
  max_feature_auc: {limit: 0.95, reason: "minutes 2026-11"}
  mean_ratio: {limit: [0.5, 2], reason: "a young book"}
honest_features:
  bureau_score: "Bought before the decision"
publish: {mode: always, by: "Ann Smith", reason: "one-person shop"}
"""


def _write(directory: Path, text: str) -> None:
    (directory / "bank.yml").write_text(text)


def test_limits_statements_and_publication_come_with_their_reasons(tmp_path: Path) -> None:
    _write(tmp_path, FILE)

    lender = read_lender("bank", tmp_path)

    assert lender.gates == {
        "max_feature_auc": MovedLimit(0.95, "minutes 2026-11"),
        "mean_ratio": MovedLimit((0.5, 2.0), "a young book"),
    }
    assert lender.honest_features == {"bureau_score": "Bought before the decision"}
    assert lender.publish == PublishSetting("always", "one-person shop", "Ann Smith")
    assert (lender.label, lender.split.tune_months) == (LabelSettings(window_months=12), 6)
    assert lender.policy.bands == {"low": 0.1, "high": 1.0}
    assert lender.request.required == ("annual_income",)
    assert lender.limits == {"annual_rate": (0.0, 5.0)}


@pytest.mark.parametrize("source", ["union", "../bank", ".bank"])
def test_a_lender_without_a_file_has_no_settings(tmp_path: Path, source: str) -> None:
    _write(tmp_path, FILE)
    (tmp_path / "under").mkdir()

    lender = read_lender(source, tmp_path / "under")

    assert (lender.gates, lender.honest_features, lender.publish) == ({}, {}, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gate: {}", r"bank.yml has an unknown key: found gate, did you mean gates\? known are title, "),
        ("label: {window: 12}", r"bank.yml: label has an unknown key: found window, did you mean window_months\?"),
        (
            "label: {window_months: a year}",
            r"label.window_months must be a whole .*, or null: found 'a year'",
        ),
        ("label: {outcome_lag_months: -1}", r"label.outcome_lag_months must be a whole number of months, .*: found -1"),
        ("split: {by: age}", r"split.by must be time or hash: found 'age'"),
        ("split: {max_share: 0.6}", r"split.max_share must be a number above 0 and below 0.5: found 0.6"),
        ("policy: {cut_off: {margin: 0}}", r"policy.cut_off.margin must be a number above 0: found 0"),
        (
            "policy: {bands: {low: 0.2, high: 0.1}}",
            r"policy.bands must have rising upper .*: found \[0.2, 0.1\]",
        ),
        ("cohort: {segments: [grade]}", r"cohort.segments must be a list of purpose, region: found \['grade'\]"),
        ("request: {required: annual_income}", r"request.required must be a list of .*: found 'annual_income'"),
        ("reasons: {annual_income: ' '}", r"reasons.annual_income must be a text for the applicant: found ' '"),
        ("set_aside: {max_share: 20}", r"set_aside.max_share must be a number from 0 to 1: found 20"),
        (
            "limits: {annual_rate: [5, 0]}",
            r"bank.yml: limits.annual_rate must be two .*, the lower one first: found \[5, 0\]",
        ),
        (
            "limits: {annual_rate: [.nan, 5]}",
            r"limits.annual_rate must be two numbers in brackets, low and high: found \[nan, 5",
        ),
        ("model: {half_life_months: .nan}", r"model.half_life_months must be a number above 0, or null: found nan"),
        ("model: {settings: {l2: .nan}}", r"model.settings.l2 must be a number, a text or a list of texts: found nan"),
        ("policy: {refer_width: .inf}", r"policy.refer_width must be a number from 0, below 1, or null: found inf"),
        ("limits: {annual_rate: 5}", r"limits.annual_rate must be two numbers in brackets, low and high: found 5"),
        ("gates: {max_auc: 0.97}", r"gates.max_auc must hold names with values: found 0.97"),
        ("gates: {max_auc: {limit: 0.97}}", r"gates.max_auc.reason must say why the limit is moved: found nothing"),
        (
            "gates: {max_auc: {limit: high, reason: r}}",
            r"max_auc.limit must be a number, or two .*: found 'high'",
        ),
        (
            "gates: {max_auc: {limit: true, reason: r}}",
            r"max_auc.limit must be a number, or two .*: found True",
        ),
        ("gates: {max_auc: {limit: 1, reason: r, by: x}}", r"gates.max_auc has an unknown key: found by"),
        ("honest_features: [bureau_score]", r"honest_features must hold names with values"),
        ("honest_features: {bureau_score: }", r"bureau_score must say why the feature is honest: found None"),
        ("publish: {mode: sometimes}", r"publish.mode must be one of auto, never, always: found 'sometimes'"),
        ("publish: {mode: always, reason: r}", r"publish.by must name the person whose word `always` is: found ''"),
        ("publish: {mode: always, by: ann}", r"publish.reason must say why: found ''"),
        ("gates: {", r"bank.yml must be YAML"),
        ("- gates", r"bank.yml must hold names with values"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    _write(tmp_path, text)

    with pytest.raises(SettingError, match=message):
        read_lender("bank", tmp_path)


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


def test_a_broken_file_is_left_out_with_its_message_and_no_other(project: Path) -> None:
    """A key misspelt for one lender stopped every dbt command of all lenders."""
    (project / "lenders" / "bank.yml").write_text("lable: {window_months: 12}")

    settings = json.loads(settings_text(project))

    assert [each["source"] for each in settings["lenders"]] == ["union"]
    assert list(settings["broken"]) == ["bank"]
    assert "bank.yml has an unknown key: found lable, did you mean label?" in settings["broken"]["bank"]


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
