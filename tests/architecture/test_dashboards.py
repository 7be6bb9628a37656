"""Grafana's dashboards are what is declared, can be read by Grafana's own types, and ask for metrics that there are."""

import importlib.util
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.architecture.test_alert_rules import names
from warehouse.settings import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "grafana"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("dashboards/*.json"))
}
PANELS = {
    f"{name}: {panel['title']}": panel
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
}

each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)
each_panel = pytest.mark.parametrize("name", PANELS)


def _differences(written: Any, read: Any, path: str = "") -> Iterator[str]:
    """What Grafana's types lost or changed; a default that they added is neither."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from _differences(value, read[key], f"{path}/{key}") if key in read else [f"{path}/{key} is lost"]
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for place, (one, other) in enumerate(zip(written, read, strict=True)):
            yield from _differences(one, other, f"{path}[{place}]")
    elif written != read:
        yield f"{path}: {written!r} is read as {read!r}"


def test_there_are_four() -> None:
    assert list(DASHBOARDS) == ["data", "model", "portfolio", "service"]


def test_they_are_what_is_declared() -> None:
    spec = importlib.util.spec_from_file_location("build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)

    written = {path.name: path.read_text() for path in FOLDER.glob("dashboards/*.json")}

    assert written == build.dashboards(), "run: python deploy/grafana/build.py"


@each_dashboard
def test_grafanas_own_types_read_them_without_loss(name: str) -> None:
    register_default_plugins()

    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARDS[name])))

    assert list(_differences(DASHBOARDS[name], read)) == []


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    """Else the test above could not fail."""
    wrong = DASHBOARDS["service"] | {"titel": "service"}

    read = json.loads(JSONEncoder().encode(Dashboard.from_json(wrong)))

    assert list(_differences(wrong, read)) == ["/titel is lost"]


@each_panel
def test_a_panel_asks_for_metrics_that_there_are(name: str) -> None:
    listed = set(
        re.findall(
            r"^\| `(\w+)` \| (?:counter|gauge|histogram) \|", (REPOSITORY / "docs/metrics.md").read_text(), re.MULTILINE
        )
    )
    asked = {name for target in PANELS[name]["targets"] for name in names(target["expr"])}

    assert asked
    assert asked <= listed


@each_panel
def test_a_panel_has_unit_legends_and_a_section_of_the_runbook(name: str) -> None:
    panel = PANELS[name]
    [anchor] = re.findall(r"runbook\.md#([\w-]+)\)$", panel["description"])
    headings = re.findall(r"^#+ (.+)$", (REPOSITORY / "docs" / "runbook.md").read_text(), re.MULTILINE)

    assert panel["fieldConfig"]["defaults"]["unit"]
    assert all(target["legendFormat"] for target in panel["targets"])
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_dashboard
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_data_source_that_is_provisioned_is_the_default_one() -> None:
    [source] = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())["datasources"]

    for dashboard in DASHBOARDS.values():
        assert dashboard["templating"]["list"][0]["current"]["value"] == source["uid"]
