"""The reports of a home as pages: an index by lender and month, and the files; directories are not listed."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
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
    """All drift reports, models, comparisons of families and searches of settings, by lender, newest first."""
    lenders: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for folder in ("drift", "models", "comparisons", "searches"):
        for path, about in _abouts(settings.reports, folder):
            lenders.setdefault(about["source"], {}).setdefault(folder, []).append({"path": path, **about})
    walks = sorted((settings.reports / "walk_forward").glob("*.png"))
    return _PAGE.render(lenders=lenders, walks=[(_address(settings.reports, path), path.stem) for path in walks])


def _address(reports: Path, path: Path) -> str:
    return quote(path.relative_to(reports).as_posix())


def _abouts(reports: Path, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((reports / folder).glob("*/*.html")):
        with suppress(FileNotFoundError, ValueError, KeyError):  # it is being written
            yield _address(reports, path), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["about"]


_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Reports · Loanlake</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
th, td { text-align: left; padding: .3rem 1.5rem .3rem 0; border-bottom: 1px solid #8886 }
</style>
<h1>Reports</h1>
<p>A drift report compares the applicants of one month with those the model learned from, feature by feature, on a
sample. Alerts and gates do not use it: they use the tables <code>monitoring.feature_drift</code> and
<code>monitoring.score_drift</code>, which measure every decision.</p>
{% for lender, found in lenders | dictsort %}
<h2>{{ lender }}</h2>
{% if found.drift %}
<h3>Drift</h3>
<table>
<tr><th>month<th>model<th>decisions<th>in the report
{% for about in found.drift | sort(attribute="month,model_version", reverse=true) %}
<tr><td><a href="/{{ about.path }}">{{ about.month }}</a><td>{{ about.model_name }} version {{ about.model_version -}}
<td>{{ "{:,}".format(about.n_decisions) }}<td>{{ "{:,}".format(about.n_sample_decisions) }}
{% endfor %}
</table>
{% endif %}
{% if found.models %}
<h3>Trained models</h3>
<table>
<tr><th>trained at<th>family<th>AUC on test<th>gates
{% for about in found.models | sort(attribute="trained_at", reverse=true) %}
<tr><td><a href="/{{ about.path }}">{{ about.trained_at }}</a><td>{{ about.family -}}
<td>{{ "%.4f" | format(about.auc) -}}
<td>{{ "refused by " ~ about.refused_by | join(", ") if about.refused_by else "passed" }}
{% endfor %}
</table>
{% endif %}
{% if found.comparisons %}
<h3>Families compared</h3>
<table>
<tr><th>compared at<th>models<th>finding
{% for about in found.comparisons | sort(attribute="compared_at", reverse=true) %}
<tr><td><a href="/{{ about.path }}">{{ about.compared_at }}</a><td>{{ about.models | join(", ") -}}
<td>{{ about.finding }}
{% endfor %}
</table>
{% endif %}
{% if found.searches %}
<h3>Searches of settings</h3>
<table>
<tr><th>family<th>trials<th>finding
{% for about in found.searches | sort(attribute="family") %}
<tr><td><a href="/{{ about.path }}">{{ about.family }}</a><td>{{ about.n_trials }}<td>{{ about.finding }}
{% endfor %}
</table>
{% endif %}
{% else %}
<p>There is no report yet. Each run of monitoring writes one for the newest month with decisions:
<code>loanlake run</code>, or the schedule <code>daily_monitor</code> in Dagster. <code>loanlake run SOURCE --report
YYYY-MM</code> writes one for a month that you name.</p>
{% endfor %}
{% if walks %}
<h2>Walks through the past</h2>
<ul>
{% for path, name in walks %}
<li><a href="/{{ path }}">{{ name }}</a>
{% endfor %}
</ul>
{% endif %}
</html>
""")
