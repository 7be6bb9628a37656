"""Each kind of alert is defined once, and its remedy is written where it says."""

import re

import yaml

from warehouse.alerts.rules import alert_rules
from warehouse.settings import DBT_PROJECT_DIR, REPOSITORY


def _kinds_of_the_model() -> set[str]:
    content = yaml.safe_load((DBT_PROJECT_DIR / "models" / "monitoring" / "alerts.yml").read_text())
    [kind] = [column for column in content["models"][0]["columns"] if column["name"] == "kind"]
    return set(kind["data_tests"][0]["accepted_values"]["arguments"]["values"])


def test_every_kind_has_one_rule() -> None:
    raised = re.findall(r"'(\w+)' as kind", (DBT_PROJECT_DIR / "models" / "monitoring" / "alerts.sql").read_text())

    assert set(alert_rules()) == set(raised) == _kinds_of_the_model()


def test_a_rule_says_where_its_remedy_is_written() -> None:
    for rule in alert_rules().values():
        page, _, anchor = rule.runbook.partition("#")
        headings = re.findall(r"^#+ (.+)$", (REPOSITORY / page).read_text(), re.MULTILINE)

        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, rule.kind


def test_the_page_lists_every_rule_as_it_is_defined() -> None:
    page = (REPOSITORY / "docs" / "alerts.md").read_text()

    rows = {f"| `{rule.kind}` | {rule.meaning} | {rule.high} | {rule.action} |" for rule in alert_rules().values()}
    assert {row for row in rows if row not in page} == set()


def test_the_page_of_a_rule_has_the_section_that_it_names() -> None:
    for rule in alert_rules().values():
        # a section that is gone would lead to the top of a long page
        if rule.page:
            page, _, section = rule.page.partition("#")
            source = (REPOSITORY / "ml" / "pages" / f"{page}.py").read_text()
            assert re.search(rf'Section\(\s*"{section}"', source), rule.kind
