"""Make the dashboards of this folder from ``panels.yml``: ``python deploy/grafana/build.py``."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 8
#: A version that is champion now, and was not within a day until 5 minutes ago: a restart of the API is no promotion.
PROMOTIONS = (
    'max by (lender, model, version) (loan_model_info{role="champion", lender=~"$lender"})'
    ' unless max by (lender, model, version) (last_over_time(loan_model_info{role="champion"}[1d] offset 5m))'
)


def limit_of(alert: str) -> float:
    """The number that a rule of deploy/prometheus compares with: it stands there once."""
    groups = yaml.safe_load((HERE.parent / "prometheus" / "rules" / "loanlake.yml").read_text())["groups"]
    [expression] = [rule["expr"] for group in groups for rule in group["rules"] if rule["alert"] == alert]
    found = re.search(r"[<>]=? ([\d.]+)(?: \* (\d+))?\s*$", expression)
    if found is None:
        raise ValueError(f"{alert} must end with a comparison with a number: found {expression!r}")
    return float(found[1]) * float(found[2] or 1)


def dashboards() -> Mapping[str, str]:
    """File name → JSON."""
    declared = yaml.safe_load((HERE / "panels.yml").read_text())
    return {
        f"{each['name']}.json": json.dumps(_dashboard(each), indent=2, ensure_ascii=False) + "\n" for each in declared
    }


def _dashboard(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uid": f"loanlake-{declared['name']}",
        "title": f"Loanlake: {declared['name']}",
        "description": declared["description"],
        "tags": ["loanlake"],
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": declared["since"], "to": "now"},
        "fiscalYearStartMonth": 0,
        "refresh": "1m",
        "schemaVersion": 39,
        "panels": _placed(declared["rows"]),
        "templating": {"list": _variables()},
        "annotations": {"list": [_promotions()]},
        "links": [
            _link("Status page of the API", "${api}/", "State, versions and recent decisions"),
            _link("Alerts", "${api}/alerts", "Open and acknowledged alerts, with remedies"),
            _link("Runbook", "${docs}/runbook.md", "What to do"),
            _link("Metrics", "${docs}/metrics.md", "What each metric says"),
            _link("Other dashboards", None, "Of Loanlake"),
        ],
    }


def _placed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows below each other, their panels from left to right."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        x = 0
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        placed.append(
            {
                "type": "row",
                "title": row["title"],
                "id": len(placed) + 1,
                "collapsed": False,
                "panels": [],
                "gridPos": place,
            }
        )
        y += 1
        for declared in row["panels"]:
            width = declared.get("width", _WIDTH)
            if x + width > _COLUMNS:
                x, y = 0, y + _HEIGHT
            place = {"h": _HEIGHT, "w": width, "x": x, "y": y}
            placed.append({"id": len(placed) + 1, "gridPos": place, **_panel(declared)})
            x += width
        y += _HEIGHT
    return placed


def _panel(declared: Mapping[str, Any]) -> dict[str, Any]:
    is_stat = declared.get("stat", False)
    limit = [declared["limit"]] if "limit" in declared else []
    queries = [*declared["queries"], *limit]
    red_from = limit_of(declared["limit_of_rule"]) if "limit_of_rule" in declared else declared.get("red_from")
    steps = [{"color": "green", "value": None}, *([] if red_from is None else [{"color": "red", "value": red_from}])]
    defaults: dict[str, Any] = {
        "unit": declared["unit"],
        "min": declared.get("min", 0),
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if is_stat else "palette-classic"},
        "noValue": "nothing yet",
    }
    if defaults["min"] is None:
        del defaults["min"]
    if "zero" in declared:
        defaults["mappings"] = [{"type": "value", "options": _words(declared["zero"], declared["one"])}]
    if not is_stat:
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 0,
            "showPoints": "never",
            "spanNulls": False,
            "thresholdsStyle": {"mode": "off" if red_from is None else "line"},
        }
    dashed = {
        "matcher": {"id": "byFrameRefID", "options": _letter(len(queries) - 1)},
        "properties": [
            {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
        ],
    }
    return {
        "type": "stat" if is_stat else "timeseries",
        "title": declared["title"],
        "description": f"{declared['text']} [Runbook](${{docs}}/runbook.md#{declared['runbook']})",
        "transparent": False,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": _letter(place),
                "expr": query["expr"],
                "legendFormat": query["legend"],
                "datasource": _SOURCE,
                "editorMode": "code",
                "range": True,
                "instant": False,
            }
            for place, query in enumerate(queries)
        ],
        "options": _STAT_OPTIONS if is_stat else _DIAGRAM_OPTIONS,
        "fieldConfig": {"defaults": defaults, "overrides": [dashed] if limit else []},
    }


_STAT_OPTIONS = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "colorMode": "value",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "textMode": "value_and_name",
    "wideLayout": True,
    "showPercentChange": False,
    "percentChangeColorMode": "standard",
}
_DIAGRAM_OPTIONS = {
    "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": ["lastNotNull"]},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _words(zero: str, one: str) -> dict[str, Any]:
    return {
        "0": {"text": zero, "color": "red", "index": 0},
        "1": {"text": one, "color": "green", "index": 1},
    }


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _variables() -> list[dict[str, Any]]:
    return [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Prometheus",
            "skipUrlSync": False,
            "query": "prometheus",
            "current": {"selected": True, "text": "Loanlake", "value": "loanlake-prometheus"},
            "multi": False,
            "allowCustomValue": True,
            "options": [],
            "includeAll": False,
        },
        _values_of("lender", "Lender", "label_values(loanlake_lender_readiness, lender)"),
        _values_of("version", "Model version", 'label_values(loan_model_info{lender=~"$lender"}, version)'),
        _values_of("instance", "Instance", 'label_values(up{job="loanlake"}, instance)'),
        _text_box("api", "API", "Address of the API's pages", "http://127.0.0.1:8000"),
        _text_box("docs", "Docs", "Where the folder docs/ can be read", "https://docs.lender.example/loanlake"),
    ]


def _values_of(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "skipUrlSync": False,
        "query": {"query": query, "refId": name},
        "definition": query,
        "datasource": _SOURCE,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "multi": True,
        "allowCustomValue": True,
        "options": [],
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        # also what has an empty lender: an alert of all lenders
        "allValue": ".*",
    }


def _text_box(name: str, label: str, text: str, value: str) -> dict[str, Any]:
    chosen = {"selected": True, "text": value, "value": value}
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "description": text,
        "skipUrlSync": False,
        "query": value,
        "current": chosen,
        "options": [chosen],
        "multi": False,
        "allowCustomValue": True,
        "includeAll": False,
    }


def _promotions() -> dict[str, Any]:
    return {
        "name": "Promotions",
        "datasource": _SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "builtIn": 0,
        "expr": PROMOTIONS,
        "step": "60s",
        "titleFormat": "{{model}} version {{version}} is champion of {{lender}}",
    }


def _link(title: str, url: str | None, tooltip: str) -> dict[str, Any]:
    """A link, or without an address a list of the dashboards with the same tag, for the same lender and time."""
    return {
        "title": title,
        "type": "link" if url else "dashboards",
        "icon": "external link" if url else "dashboard",
        "tooltip": tooltip,
        **({"url": url} if url else {}),
        "tags": [] if url else ["loanlake"],
        "asDropdown": not url,
        "targetBlank": bool(url),
        "includeVars": not url,
        "keepTime": not url,
    }


if __name__ == "__main__":
    for name, text in dashboards().items():
        (HERE / "dashboards" / name).write_text(text)
