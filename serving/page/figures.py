"""Prepared pages for a caller: read from the home's files, rendered once for each change, never from the lake."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlencode

from ml.pages.document import Document, PageName, Section, read_kept
from ml.pages.features import FEATURES, FeatureMonths, feature_section, heat_map
from ml.pages.models import service_section
from ml.pages.rendering import sections_html
from ml.registry.deployment import read_deployment
from serving.access.caller import Caller
from serving.http.clock import utc_now
from serving.http.public_text import without_paths
from serving.page.frame import Link
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings

TITLES: dict[PageName, str] = {"models": "Model room", "monitoring": "Monitoring", "portfolio": "Portfolio"}


@dataclass(frozen=True)
class ShownPage:
    """A page as its template needs it.

    ``content``: HTML whose texts are escaped. ``problem``: why there is none, and the ``command`` that makes it.
    ``served_since``: a version put in service after the page was prepared. ``back``: address of the page above.
    """

    name: PageName
    title: str
    lenders: Sequence[str]
    lender: str | None
    content: str = ""
    document: Document | None = None
    problem: str = ""
    command: str = ""
    served_since: int | None = None
    reports: Sequence[Link] = ()
    back: str = ""


@dataclass(frozen=True)
class Index:
    """Links to a lender's pages with a sentence each, and to Evidently's reports."""

    pages: Sequence[Link]
    reports: Sequence[Link]


@dataclass
class _Kept:
    """A document as read from one state of its file."""

    stamp: tuple[int, int]
    document: Document

    @cached_property
    def content(self) -> str:
        """Its sections as HTML."""
        return sections_html(self.document.sections)


class FigurePages:
    """Reads and renders in a thread; a page that has not changed costs a look at its file."""

    def __init__(self, settings: Settings, *, reports: str):
        self._settings = settings
        self._reports = reports
        self._kept: dict[Path, _Kept] = {}

    def lenders(self, caller: Caller) -> list[str]:
        """The lenders of this home that the caller may reach."""
        return [lender for lender in self._settings.recorded_lenders() if caller.may_reach(lender)]

    async def page(
        self, name: PageName, lenders: Sequence[str], lender: str | None, *, feature: str = "", month: str = ""
    ) -> ShownPage | None:
        """The page of one of ``lenders``; None for an unknown feature."""
        begun = ShownPage(name, TITLES[name], lenders, lender)
        if lender is None:
            return replace(begun, problem="No model was registered yet.", command="loanlake run")
        try:
            return await asyncio.to_thread(self._page, begun, lender, feature, month)
        except (LoanlakeError, OSError) as error:
            reason = without_paths(str(error), self._settings.home)
            return replace(begun, problem=f"The page cannot be read: {reason}.")

    async def index(self, lender: str | None) -> Index:
        """What the lender's pages say in a sentence."""
        return await asyncio.to_thread(self._index, lender)

    def _page(self, begun: ShownPage, lender: str, feature: str, month: str) -> ShownPage | None:
        if feature:
            return self._feature(begun, lender, feature, month)
        kept = self._read(lender, begun.name)
        live = ""
        if begun.name == "models":  # of the home's files, which a promotion changes
            now = utc_now().isoformat(timespec="seconds")
            live = sections_html([service_section(self._settings, lender, now=now)])
        if kept is None:
            problem, command = f"The pages of {lender} were not prepared yet.", f"loanlake run {lender}"
            return replace(begun, problem=problem, command=command, content=live)
        served = read_deployment(self._settings, lender)
        is_other = served is not None and served.model_version != kept.document.version
        return replace(
            begun,
            content=live + kept.content,
            document=kept.document,
            served_since=served.model_version if served is not None and is_other else None,
            reports=self._drift_reports(lender) if begun.name == "monitoring" else (),
        )

    def _feature(self, begun: ShownPage, lender: str, feature: str, month: str) -> ShownPage | None:
        kept = self._read(lender, "monitoring")
        found = read_kept(self._settings, lender, FEATURES, list[FeatureMonths]) or []
        named = next((each for each in found if each.feature == feature), None)
        if named is None:
            return None
        shown = feature_section(named, month or None)
        months = Section("months", "All months", [heat_map([named], lender)])
        return replace(
            begun,
            title=f"Feature {feature}",
            content=sections_html([shown, months]),
            document=kept.document if kept is not None else None,
            back=f"/monitoring?{urlencode({'lender': lender})}",
        )

    def _read(self, lender: str, name: PageName) -> _Kept | None:
        path = self._settings.page(lender, name)
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        stamp = found.st_mtime_ns, found.st_ino
        kept = self._kept.get(path)
        if kept is None or kept.stamp != stamp:
            document = read_kept(self._settings, lender, name, Document)
            if document is None:
                return None
            kept = self._kept[path] = _Kept(stamp, document)
        return kept

    def _index(self, lender: str | None) -> Index:
        asked = f"?{urlencode({'lender': lender})}" if lender else ""
        links = []
        for name, title in TITLES.items():
            about = "Not prepared yet."
            with suppress(LoanlakeError, OSError):
                kept = self._read(lender, name) if lender else None
                about = kept.document.summary if kept is not None else about
            links.append(Link(title, f"/{name}{asked}", about))
        return Index(links, self._drift_reports(lender) if lender else ())

    def _drift_reports(self, lender: str) -> list[Link]:
        """Evidently's pages of the lender's version in service, newest month first."""
        with suppress(LoanlakeError):
            served = read_deployment(self._settings, lender)
            if served is None:
                return []
            folder = self._settings.reports / "drift" / f"{served.model_name}-{served.model_version}"
            return [
                Link(path.stem, f"{self._reports}/{quote(path.relative_to(self._settings.reports).as_posix())}", "")
                for path in sorted(folder.glob("*.html"), reverse=True)
            ]
        return []
