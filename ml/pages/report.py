"""The monthly report for a committee: the pages' sections up to a month, in one file that needs no network."""

import base64
import hashlib
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from msgspec.structs import replace

from ml.figures.elements import anchor
from ml.figures.forms import NONE, between, written
from ml.figures.rendering import style_sheet
from ml.figures.shapes import Bars, Figure, Form, Heat, HeatRow, Note, Table
from ml.pages.document import Section
from ml.pages.features import distributions, drifted_of
from ml.pages.models import service_section
from ml.pages.preparing import Prepared, read_pages
from ml.pages.reading import Row, Tables
from ml.pages.rendering import sections_html
from ml.pages.version_of_month import VersionOfMonth, version_of_month
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect
from warehouse.settings import Settings

_TEMPLATES = Path(__file__).parent / "templates"
#: Drifted features whose distributions are drawn; the report says how many are left out.
_MOST_FEATURES = 12


@dataclass(frozen=True)
class Report:
    """The report as HTML, and what it is about."""

    source: str
    month: str
    html: str


def write_report(settings: Settings, source: str, month: date | None) -> Report:
    """The report on a month, the newest with applications unless named, about the version that decided in it.

    Figures of later months are left out; those of the month and before are as known now. Raises NotFoundError for a
    month without applications, and LakeError if the lake cannot be opened.
    """
    with closing(connect(settings)) as con:
        chosen = _chosen(source, [row["month"] for row in Tables(con, source).rows(_MONTHS)], month)
        tables = Tables(con, source, chosen)
        about = version_of_month(tables, settings)
        prepared = read_pages(settings, source, chosen, about=about)
        version = prepared.documents["portfolio"].version
        figures = _key_figures(tables, prepared, version, chosen)
        alerts = tables.rows(_ALERTS)
    drifted = _drifted(prepared, f"{chosen:%Y-%m}")
    drawn = {figure.name for section in drifted for figure in section.figures if isinstance(figure, Bars)}
    sections = [
        Section("key-figures", "Key figures", [figures]),
        Section("alerts", "Alerts of the month", [_alerts(alerts)]),
        *(_linked_inside(section, drawn, f"{chosen:%Y-%m}") for section in prepared.documents["monitoring"].sections),
        *drifted,
        *prepared.documents["portfolio"].sections,
        service_section(settings, source, now=f"{prepared.documents['models'].prepared_at}"),
        *prepared.documents["models"].sections,
    ]
    return Report(source, f"{chosen:%Y-%m}", _html(prepared, f"{chosen:%Y-%m}", about, sections))


def _chosen(source: str, months: Sequence[date], month: date | None) -> date:
    if not months:
        raise NotFoundError(
            f"a report needs applications of {source} in portfolio.concentration: found none; `loanlake run {source}` "
            "loads files and builds the tables"
        )
    chosen = month or months[-1]
    if chosen not in months:
        raise NotFoundError(
            f"--month must be a month with applications of {source}: found {chosen:%Y-%m}, and they are of "
            f"{months[0]:%Y-%m} to {months[-1]:%Y-%m}"
        )
    return chosen


def _key_figures(tables: Tables, prepared: Prepared, version: int | None, month: date) -> Table:
    rows = tables.rows(_DECIDED, version=version or 0)
    decided = rows[0] if rows else {}
    estimates = {row["metric"]: row for row in tables.rows(_ESTIMATED, version=version or 0)}
    n_features, n_drifted = len(prepared.features), len(drifted_of(prepared.features, f"{month:%Y-%m}"))
    applied = tables.rows(_APPLIED)[0]
    lines = [
        ["Applications", f"{applied['n_applications']:,}"],
        ["Amount applied for", written(applied["amount"], "amount")],
        ["Decisions of the version", f"{decided.get('n_decisions') or 0:,}"],
        ["Approved", written(decided.get("approval_rate"), "share")],
        ["Mean probability of default", written(decided.get("mean_probability"), "share")],
        ["Default rate, estimated (CBPE)", _estimate(estimates.get("default_rate"), "share")],
        ["AUC, estimated (CBPE)", _estimate(estimates.get("auc"), "index")],
        ["Features that have drifted", f"{n_drifted} of {n_features}" if n_features else NONE],
    ]
    return Table(name="figures-of-month", title=f"{month:%Y-%m}", header=["Figure", "Value"], rows=lines)


def _estimate(row: Row | None, form: Form) -> str:
    return NONE if row is None else written(row["estimated"], form) + between(row["low"], row["high"], form)


def _alerts(rows: Sequence[Row]) -> Figure:
    if not rows:
        return Note("No alert was raised for this month.")
    return Table(
        name="alerts-of-month",
        title=f"{len(rows):,} found; one alert can have several",
        header=["Kind", "Severity", "About", "Message"],
        n_texts=4,
        rows=[[row["kind"].replace("_", " "), row["severity"], row["subject"], row["message"]] for row in rows],
    )


def _drifted(prepared: Prepared, month: str) -> list[Section]:
    """Both distributions of the features that have drifted in the month."""
    drifted = drifted_of(prepared.features, month)
    if not drifted:
        return []
    figures: list[Figure] = [
        distributions(each.feature, found)
        for each in drifted[:_MOST_FEATURES]
        for found in each.months
        if found.month == month
    ]
    left_out = len(drifted) - _MOST_FEATURES
    text = f"{left_out} more have drifted: the page of monitoring shows them." if left_out > 0 else ""
    return [Section("drifted", f"Features that have drifted in {month}", figures, text)]


def _linked_inside(section: Section, drawn: Collection[str], month: str) -> Section:
    """A section whose heat map leads to the distributions in the report, as there is no page to lead to."""
    figures = [
        replace(figure, rows=[_linked_row(row, figure.columns, drawn, month) for row in figure.rows])
        if isinstance(figure, Heat)
        else figure
        for figure in section.figures
    ]
    return replace(section, figures=figures)


def _linked_row(row: HeatRow, columns: Sequence[str], drawn: Collection[str], month: str) -> HeatRow:
    name = f"bins-{row.name}"
    href = f"#{anchor(name)}" if name in drawn else ""
    cells = [
        None if cell is None else replace(cell, href=href if column == month else "")
        for column, cell in zip(columns, row.cells, strict=True)
    ]
    return replace(row, cells=cells, href=href)


def _html(prepared: Prepared, month: str, about: VersionOfMonth | None, sections: Sequence[Section]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = f"{(_TEMPLATES / 'report.css').read_text(encoding='utf-8')}\n{style_sheet()}"
    return environment.get_template("report.html").render(
        document=prepared.documents["models"],
        month=month,
        about=about,
        style=style,
        # the browser runs nothing and loads nothing: only this style sheet applies
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        headings=[(section.name, section.heading) for section in sections],
        content=sections_html(sections),
    )


_MONTHS = "select distinct month from portfolio.concentration where source = $source order by month"
_APPLIED = """
select sum(n_applications)::bigint as n_applications, sum(requested_amount) as amount
from portfolio.concentration where source = $source and dimension = 'term' and month = $until::date
"""
_DECIDED = """
select sum(n_decisions)::bigint as n_decisions, sum(n_approved)::double / sum(n_decisions) as approval_rate,
    sum(mean_probability * n_decisions) / sum(n_decisions) as mean_probability
from portfolio.bands where source = $source and model_version = $version and month = $until::date
having sum(n_decisions) > 0
"""
_ESTIMATED = """
select metric, estimated, low, high from monitoring.performance_estimates
where source = $source and model_version = $version and month = $until::date and method = 'cbpe'
"""
_ALERTS = """
select kind, severity, subject, message from monitoring.alerts
where (source = $source or source is null) and raised_for = $until::date order by severity, kind, subject
"""
