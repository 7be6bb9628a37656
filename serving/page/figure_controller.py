"""``/models``, ``/monitoring`` and ``/portfolio``: what is prepared about a lender, for those who may see decisions."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from ml.pages.document import PageName
from serving.access.guards import ANY, SCOPE, caller
from serving.deployed.deployment_watch import DeploymentWatch
from serving.page.figures import TITLES, FigurePages
from serving.page.frame import Frame, PageLinks, frame_of, lender_notice, no_access, notice, page, unknown_parameters


class FigureController(Controller):
    """Each page is of one lender: the one asked for, the default, or the first that the caller may reach."""

    path = "/"
    include_in_schema = False
    opt = {SCOPE: ANY}  # noqa: RUF012 - Litestar reads it as a class attribute

    @get([f"/{name}" for name in TITLES])
    async def prepared(
        self,
        request: Request[Any, Any, Any],
        figure_pages: NamedDependency[FigurePages],
        deployments: NamedDependency[DeploymentWatch],
        links: NamedDependency[PageLinks],
    ) -> Response[Any]:
        """The page that the path names; of monitoring, with ``feature``, its distributions in a ``month``."""
        name = next(name for name in TITLES if name == request.url.path.strip("/"))
        return await _shown(name, request, figure_pages, deployments, links)


async def _shown(
    name: PageName,
    request: Request[Any, Any, Any],
    pages: FigurePages,
    deployments: DeploymentWatch,
    links: PageLinks,
) -> Response[Any]:
    who, asked = caller(request), request.query_params
    frame: Frame = frame_of(who, links, lender=asked.get("lender"))
    if not frame.may_read:
        return await no_access(frame, "this page")
    known = ("lender", *(("feature", "month") if name == "monitoring" else ()))
    refused = await unknown_parameters(frame, request, known)
    if refused is None and "month" in asked and not asked.get("feature"):
        refused = await notice(frame, 400, "Parameter missing", "A month is shown of one feature: add feature=NAME.")
    lenders, lender = pages.lenders(who), asked.get("lender")
    if refused is None and lender is not None:
        refused = await lender_notice(frame, who, lender, lenders)
    if refused is not None:
        return refused
    chosen = lender or next((each for each in (deployments.default, *lenders) if each in lenders), None)
    feature, month = asked.get("feature", ""), asked.get("month", "")
    found = await pages.page(name, lenders, chosen, feature=feature if name == "monitoring" else "", month=month[:10])
    if found is None:
        detail = f"Drift of {feature[:100]!r} was not measured for {chosen}."
        return await notice(frame, 404, "Feature not found", detail)
    return await page("figures.html", frame, page=found)
