"""The reports of a home as pages: an index by lender and month, and the files; directories are not listed."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from warehouse.settings import Settings


def reports_app(settings: Settings) -> Starlette:
    """``/`` is the index, every other path a file under the home's reports."""

    async def index(_request: Request) -> HTMLResponse:
        return HTMLResponse(index_page(settings), headers={"cache-control": "no-store"})

    settings.reports.mkdir(parents=True, exist_ok=True)
    return Starlette(routes=[Route("/", index), Mount("/", StaticFiles(directory=settings.reports))])


def index_page(settings: Settings) -> str:
    """All drift reports and models, by lender, newest first."""
    drift: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for path, about in _abouts(settings.reports, "drift"):
        drift[about["source"]].append((about["month"], about["model_version"], _drift_row(path, about)))
    models: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, about in _abouts(settings.reports, "models"):
        models[about["source"]].append((about["trained_at"], _model_row(path, about)))
    lenders = "".join(
        f"<h2>{escape(source)}</h2>\n{_table(_DRIFT, drift[source])}{_table(_MODELS, models[source])}"
        for source in sorted({*drift, *models})
    )
    return _PAGE.format(body=(lenders or _NOTHING) + _walks(settings.reports))


def _walks(reports: Path) -> str:
    found = sorted((reports / "walk_forward").glob("*.png"))
    items = "".join(
        f'<li><a href="/{quote(path.relative_to(reports).as_posix())}">{escape(path.stem)}</a>\n' for path in found
    )
    return f"<h2>Walks through the past</h2>\n<ul>\n{items}</ul>\n" if items else ""


def _drift_row(path: str, about: dict[str, Any]) -> str:
    return (
        f'<tr><td><a href="/{path}">{escape(about["month"])}</a>'
        f"<td>{escape(about['model_name'])} version {about['model_version']}"
        f"<td>{about['n_decisions']:,}<td>{about['n_sample_decisions']:,}"
    )


def _model_row(path: str, about: dict[str, Any]) -> str:
    refused = escape(", ".join(about["refused_by"]))
    return (
        f'<tr><td><a href="/{path}">{escape(about["trained_at"])}</a><td>{about["auc"]:.4f}'
        f"<td>{f'refused by {refused}' if refused else 'passed'}"
    )


def _table(head: str, rows: Sequence[tuple[Any, ...]]) -> str:
    """Newest first; empty if there are no rows."""
    lines = "\n".join(row[-1] for row in sorted(rows, reverse=True))
    return f"{head}{lines}\n</table>\n" if rows else ""


def _abouts(reports: Path, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((reports / folder).glob("*/*.html")):
        about = _about(path.with_suffix(".json"))
        if about is not None:
            yield quote(path.relative_to(reports).as_posix()), about


def _about(path: Path) -> dict[str, Any] | None:
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["about"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return about


_DRIFT = "<h3>Drift</h3>\n<table>\n<tr><th>month<th>model<th>decisions<th>in the report\n"
_MODELS = "<h3>Trained models</h3>\n<table>\n<tr><th>trained at<th>AUC on test<th>gates\n"
_NOTHING = """<p>There is no report yet. Each run of monitoring writes one for the newest month with decisions:
<code>loanlake run</code>, or the schedule <code>daily_monitor</code> in Dagster. <code>loanlake run SOURCE --report
YYYY-MM</code> writes one for a month that you name.</p>
"""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Reports · Loanlake</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .3rem 1.5rem .3rem 0; border-bottom: 1px solid #8886 }}
</style>
<h1>Reports</h1>
<p>A drift report compares the applicants of one month with those the model learned from, feature by feature, on a
sample. Alerts and gates do not use it: they use the tables <code>monitoring.feature_drift</code> and
<code>monitoring.score_drift</code>, which measure every decision.</p>
{body}</html>
"""
