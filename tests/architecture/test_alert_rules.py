"""The alert rules for Prometheus watch what there is, and whoever is woken finds what to do."""

import re
from typing import Any

import pytest
import yaml

from ml.monitoring.limits import DRIFTED_FEATURE_SHARE
from warehouse.settings import REPOSITORY

DEPLOY = REPOSITORY / "deploy" / "prometheus"
PAGE = (REPOSITORY / "docs" / "metrics.md").read_text()
RULES: list[dict[str, Any]] = [
    rule
    for path in sorted(DEPLOY.glob("rules/*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


def names(expression: str) -> set[str]:
    """The metrics that an expression asks for, a histogram by its own name."""
    found = re.findall(r"\b(?:loan|loanlake|process)_\w+", re.sub(r'"[^"]*"', "", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


@each_rule
def test_a_rule_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    """The page lists what `/metrics` shows, which tests/unit/serving/telemetry/test_metrics.py makes sure of."""
    listed = set(re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram) \|", PAGE, re.MULTILINE))

    assert names(rule["expr"]) <= listed
    assert names(rule["expr"]) or "up{" in rule["expr"]


@each_rule
def test_a_rule_says_what_to_do_and_where_that_is_written(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    page, _, anchor = notes["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (REPOSITORY / page).read_text(), re.MULTILINE)

    assert notes["summary"]
    assert notes["action"]
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert rule["labels"]["severity"] in ("critical", "warning")


@each_rule
def test_a_rule_is_listed_with_the_metrics_it_asks_for(rule: dict[str, Any]) -> None:
    [row] = re.findall(rf"^\| `{rule['alert']}` \|(.+)$", PAGE, re.MULTILINE)

    assert names(rule["expr"]) <= set(re.findall(r"`(\w+)`", row))


@each_rule
def test_a_rule_has_a_test_in_which_it_fires(rule: dict[str, Any]) -> None:
    tests = "".join(path.read_text() for path in DEPLOY.glob("tests/*.yml"))

    assert f'alertname="{rule["alert"]}"' in tests


def test_features_drift_by_the_rule_that_asks_for_a_training() -> None:
    [rule] = [rule for rule in RULES if rule["alert"] == "LoanModelFeaturesDrifted"]

    assert rule["expr"].endswith(f">= {DRIFTED_FEATURE_SHARE}")
