"""The frame around every page: who looks, where links lead, and what each answer's headers allow."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

from litestar import MediaType, Request, Response

from ml.registry.tracking import TRAINING_PAGE
from serving.access.caller import Caller
from serving.page.rendering import POLICY, render
from warehouse.settings import PageUrls

_MOST_SHOWN = 100


@dataclass(frozen=True)
class Link:
    """Where to go from here."""

    text: str
    url: str
    about: str


PageLinks = tuple[Link, ...]


@dataclass(frozen=True)
class Frame:
    """The frame around every page; ``may_read``: whether the caller may see decisions.

    ``lender``: the one that the address chose; links to other pages keep it.
    """

    version: str
    who: str
    may_read: bool
    links: PageLinks
    asked: str = ""
    lender: str = ""

    @property
    def of_lender(self) -> str:
        """The end of a link that keeps the chosen lender."""
        return f"?{urlencode({'lender': self.lender})}" if self.lender else ""


def page_links(urls: PageUrls) -> PageLinks:
    """Links from the page."""
    return (
        Link("API description", "/schema", "all calls; try them in the browser"),
        Link("Readiness", "/readyz", "for load balancers"),
        Link("Metrics", "/metrics", "for Prometheus"),
        Link("Dagster", urls.dagster, "runs, assets, checks, sensors"),
        Link("MLflow", f"{urls.mlflow}{TRAINING_PAGE}", "training runs, versions, gates"),
        Link("Drift reports", urls.reports, "one Evidently page per month"),
    )


def frame_of(who: Caller, links: PageLinks, *, asked: str = "", lender: str | None = None) -> Frame:
    """The frame for a caller; ``asked``: the decision id that they look up; ``lender``: the one that they chose."""
    return Frame(
        version=version("loanlake"),
        who=who.signature,
        may_read=who.may("decisions"),
        links=links,
        asked=asked if len(asked) <= _MOST_SHOWN else asked[:_MOST_SHOWN] + "…",
        lender=lender if lender is not None and len(lender) <= _MOST_SHOWN and who.may_reach(lender) else "",
    )


async def unknown_parameters(
    frame: Frame, request: Request[Any, Any, Any], known: Sequence[str]
) -> Response[str] | None:
    """A page that names the parameters of the address that this page does not have; None without any.

    A misspelt one would otherwise be ignored, and the page be read as the answer to it.
    """
    unknown = [name[:_MOST_SHOWN] for name in dict.fromkeys(request.query_params) if name not in known]
    if not unknown:
        return None
    has = f"has {' and '.join(known)}" if known else "has none"
    return await notice(frame, 400, "Unknown parameter", f"This page {has}: found {', '.join(unknown[:10])}.")


async def lender_notice(frame: Frame, who: Caller, lender: str, known: Sequence[str]) -> Response[str] | None:
    """A page that says why nothing of this lender is shown; None for one of ``known``."""
    if lender in known:
        return None
    if not who.may_reach(lender):
        return await notice(frame, 403, "This key has no access to this lender", "It is bound to other lenders.")
    detail = f"No model of {lender[:_MOST_SHOWN]!r} is registered in this home."
    return await notice(frame, 404, "Lender not found", detail)


async def no_access(frame: Frame, what: str) -> Response[str]:
    """A page that names the scope that a key needs to see more, and how to make such a key."""
    detail = (
        f"To see {what}, sign in with a key that has the scope decisions: "
        "`loanlake key create NAME --scope decisions` creates one. Open a private window if the browser keeps "
        "the old key."
    )
    return await notice(frame, 403, f"This key has no access to {what}", detail)


async def notice(frame: Frame, status: int, heading: str, detail: str) -> Response[str]:
    """A page that says why there is nothing else to see."""
    return await page("notice.html", frame, status, heading=heading, detail=detail)


async def page(template: str, frame: Frame, status: int = 200, **context: Any) -> Response[str]:
    """A template in its frame, rendered in a thread."""
    html = await asyncio.to_thread(render, template, {"frame": frame, **context})
    headers = {"Content-Security-Policy": POLICY}
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=headers)
