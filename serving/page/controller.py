"""``/``, ``/alerts`` and ``/decisions``: pages for a browser, which prompts for a key as the password."""

import json
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from serving.access.guards import ANY, SCOPE, caller
from serving.decisions.reader import DecisionReader
from serving.deployed.deployment_watch import DeploymentWatch
from serving.http.problems import NotPermitted, Problem, UnknownDecision
from serving.http.public_text import without_paths
from serving.page.alerts import AlertsPage
from serving.page.figures import FigurePages
from serving.page.frame import PageLinks, frame_of, lender_notice, no_access, notice, page, unknown_parameters
from serving.page.overview import OverviewPage
from serving.page.rendering import STATIC, static_file
from serving.scoring.decide import logged_decision
from warehouse.errors import LoanlakeError

_DAY = {"Cache-Control": "max-age=86400"}


class PageController(Controller):
    """Pages for people; parts that a caller may not see are left out, and the page says so."""

    path = "/"
    include_in_schema = False
    opt = {SCOPE: ANY}  # noqa: RUF012 - Litestar reads it as a class attribute

    @get("/")
    async def overview(
        self,
        request: Request[Any, Any, Any],
        overview_page: NamedDependency[OverviewPage],
        figure_pages: NamedDependency[FigurePages],
        alerts_page: NamedDependency[AlertsPage],
        links: NamedDependency[PageLinks],
    ) -> Response[Any]:
        """The service at a glance. A program that accepts only JSON is redirected to the API description."""
        accept = request.headers.get("accept", "")
        if "application/json" in accept and "text/html" not in accept:
            return Redirect("/schema/openapi.json")
        who, lender = caller(request), request.query_params.get("lender")
        frame = frame_of(who, links, lender=lender)
        refused = await unknown_parameters(frame, request, ("lender",))
        if refused is None and lender is not None:
            refused = await lender_notice(frame, who, lender, figure_pages.lenders(who))
        if refused is not None:
            return refused
        shown = await overview_page.overview(who, lender)
        index = await figure_pages.index(shown["lender"]) if frame.may_read else None
        open_alerts = await alerts_page.open_alerts(who) if frame.may_read else None
        return await page("overview.html", frame, page=shown, index=index, alerts=open_alerts)

    @get("/alerts")
    async def alerts(
        self,
        request: Request[Any, Any, Any],
        alerts_page: NamedDependency[AlertsPage],
        figure_pages: NamedDependency[FigurePages],
        links: NamedDependency[PageLinks],
    ) -> Response[Any]:
        """Alerts with their state, meaning and remedy. A message may name an application."""
        who, lender = caller(request), request.query_params.get("lender")
        frame = frame_of(who, links, lender=lender)
        if not frame.may_read:
            return await no_access(frame, "alerts")
        refused = await unknown_parameters(frame, request, ("lender",))
        found = await alerts_page.alerts(who, lender)
        lenders = sorted({*figure_pages.lenders(who), *found.lenders})
        if refused is None and lender is not None:
            refused = await lender_notice(frame, who, lender, lenders)
        return refused or await page("alerts.html", frame, page=found, lenders=lenders, lender=lender)

    @get("/decisions")
    async def decision(
        self,
        request: Request[Any, Any, Any],
        decisions: NamedDependency[DecisionReader],
        deployments: NamedDependency[DeploymentWatch],
        links: NamedDependency[PageLinks],
    ) -> Response[Any]:
        """One decision, with its reasons as a chart."""
        asked = request.query_params.get("id", "").strip()
        frame = frame_of(caller(request), links, asked=asked)
        if not frame.may_read:
            return await no_access(frame, "decisions")
        refused = await unknown_parameters(frame, request, ("id",))
        if refused is not None or not asked:
            return refused or Redirect("/")
        try:
            found = await decisions.find(asked, caller(request))
        except UnknownDecision as problem:
            return await notice(frame, 404, "Decision not found", f"{problem.detail}: {frame.asked}")
        except NotPermitted as problem:
            return await notice(frame, 403, "This key has no access to this lender", problem.detail)
        except (Problem, LoanlakeError) as error:
            detail = without_paths(error.detail if isinstance(error, Problem) else str(error))
            return await notice(frame, 503, "The decision log cannot be read", detail)
        watch = deployments.lenders.get(found.source)
        served = watch.deployment if watch is not None else None
        model = served.made(found.model_name, found.model_version) if served is not None else None
        return await page(
            "decision.html",
            frame,
            logged=logged_decision(found),
            cut_off=model.scorer.bundle.policy.cut_off if model is not None else None,
            refer_width=model.scorer.bundle.policy.refer_width if model is not None else None,
            inputs=json.loads(found.inputs),
            features=json.loads(found.features),
        )

    @get("/page/{name:str}", sync_to_thread=False)
    def static(self, name: FromPath[str]) -> Response[bytes]:
        """A style sheet, or the icon."""
        if name not in STATIC:
            raise NotFoundException
        return Response(static_file(name), media_type=STATIC[name], headers=_DAY)
