"""All pages of a lender, from prepared tables over one connection; kept in the home, or for a report."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ml.figures.shapes import Missing
from ml.pages.document import Document, PageName, Section, keep
from ml.pages.features import FEATURES, FeatureMonths, read_features
from ml.pages.models import model_sections, model_summary
from ml.pages.monitoring import monitoring_sections, monitoring_summary, trial_section
from ml.pages.portfolio import portfolio_sections, portfolio_summary
from ml.pages.profit import profit_section
from ml.pages.reading import ALWAYS, Row, Tables
from ml.pages.version_of_month import VersionOfMonth
from ml.registry.deployment import Deployment, read_deployment
from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import Settings


@dataclass(frozen=True)
class Prepared:
    """A lender's documents, and the features behind the drift map."""

    documents: Mapping[PageName, Document]
    features: Sequence[FeatureMonths]
    served: Deployment | None


def prepare_pages(settings: Settings, source: str) -> Mapping[str, int]:
    """Replace a lender's prepared pages; returns their sizes in bytes."""
    found = read_pages(settings, source)
    sizes = {FEATURES: keep(settings, source, FEATURES, found.features)}
    return sizes | {name: keep(settings, source, name, document) for name, document in found.documents.items()}


def read_pages(
    settings: Settings, source: str, until: date = ALWAYS, *, about: VersionOfMonth | None = None
) -> Prepared:
    """The documents of a lender, with months up to ``until``; raises LakeError if the lake cannot be opened.

    ``about``: the version that they are about; the one in service unless given.
    """
    served = read_deployment(settings, source)
    if about is None and served is not None:
        about = VersionOfMonth(served.model_name, served.model_version, why="the one in service")
    version: Row | None = about.row if about is not None else None
    number = about.model_version if about is not None else None
    profit = profit_section(settings, source, until, number)  # by a connection of its own
    with closing(connect(settings)) as con:
        con.execute("begin")  # all tables as of one snapshot
        tables, snapshot = Tables(con, source, until), current_snapshot(con)
        features = read_features(tables, version) if version else []
        newest = tables.rows(_NEWEST)[0:1]
        sections_of: dict[PageName, list[Section]] = {
            "models": model_sections(tables, settings),
            "monitoring": monitoring_sections(tables, version, features) if version else _unserved(source),
            "portfolio": portfolio_sections(tables, version, profit),
        }
        is_served = served is not None and about is not None and about.is_deployment(served)
        if is_served and served is not None and served.challenger is not None:
            sections_of["monitoring"].insert(1, trial_section(tables, served.challenger))
        summaries: dict[PageName, str] = {
            "models": model_summary(settings, source),
            "monitoring": monitoring_summary(features),
            "portfolio": portfolio_summary(tables),
        }
    at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    last = newest[0]["month"] if newest else None
    documents = {
        name: Document(
            source=source,
            summary=summaries[name],
            sections=sections,
            prepared_at=at,
            snapshot=snapshot,
            until=f"{last:%Y-%m}" if last else None,
            version=number,
        )
        for name, sections in sections_of.items()
    }
    return Prepared(documents, features, served)


def _unserved(source: str) -> list[Section]:
    missing = Missing("No version is in service, so there is nothing to monitor.", f"loanlake run {source}")
    return [Section("performance", "Performance, estimated and true", [missing])]


_NEWEST = "select max(month) as month from portfolio.concentration where source = $source and month <= $until::date"
