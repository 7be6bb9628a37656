"""The API's services: each built once, started and stopped together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from serving.batches.queue import BatchService
from serving.decisions.outcome_report import OutcomeService
from serving.decisions.reader import DecisionReader
from serving.deployed.approvals import ApprovalService
from serving.deployed.deployment_watch import DeploymentWatch
from serving.deployed.served_model import load_served_model
from serving.features.lookup import FeatureService
from serving.health.observation import Observation
from serving.health.readiness import ReadinessCheck
from serving.options import ServingOptions
from serving.page.alerts import AlertsPage
from serving.page.figures import FigurePages
from serving.page.frame import PageLinks, page_links
from serving.page.overview import OverviewPage
from serving.page.rendering import compile_templates
from serving.scoring.outbox import Outbox
from serving.scoring.scoring import ScoringService
from serving.scoring.shadow import ShadowScorer
from serving.team import TeamLink
from serving.telemetry.metrics import Metrics
from warehouse.online_store import OnlineStore, open_store
from warehouse.settings import Settings


@dataclass(frozen=True)
class Services:
    """The services of one process; controllers get them by field name."""

    deployments: DeploymentWatch
    scoring: ScoringService
    shadows: ShadowScorer
    features: FeatureService
    outcomes: OutcomeService
    approvals: ApprovalService
    batches: BatchService
    decisions: DecisionReader
    readiness: ReadinessCheck
    outbox: Outbox
    store: OnlineStore
    metrics: Metrics
    observation: Observation
    overview_page: OverviewPage
    alerts_page: AlertsPage
    figure_pages: FigurePages
    links: PageLinks
    team: TeamLink

    @asynccontextmanager
    async def running(self, poll_seconds: float) -> AsyncIterator[None]:
        """Serve the deployed model, check for changes every ``poll_seconds``, and close all at the end."""
        await asyncio.to_thread(self.team.start)
        await self.deployments.look()
        await self.outbox.check()
        watching = asyncio.create_task(_watch(self, poll_seconds))
        compiling = asyncio.create_task(asyncio.to_thread(compile_templates))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await compiling
            await self.shadows.close()
            await self.outbox.close()
            await asyncio.to_thread(self.team.stop)
            await self.store.close()


def build_services(settings: Settings, options: ServingOptions) -> Services:
    """The services over one home, not yet started."""
    metrics = Metrics()
    deployments = DeploymentWatch(settings, metrics=metrics, load=load_served_model)
    store = open_store(settings)
    outbox = Outbox(settings, metrics=metrics, most_waiting=options.waiting_decisions)
    shadows = ShadowScorer(outbox=outbox, metrics=metrics)
    decisions = DecisionReader(settings, outbox=outbox, own_only=options.own_decisions_only)
    approvals = ApprovalService(settings)
    team = TeamLink(settings, poll_seconds=options.poll_seconds)
    readiness = ReadinessCheck(
        home=settings.home,
        deployments=deployments,
        store=store,
        outbox=outbox,
        history_policy=options.history,
        team=team,
    )
    return Services(
        deployments=deployments,
        scoring=ScoringService(
            deployments=deployments,
            store=store,
            outbox=outbox,
            shadows=shadows,
            metrics=metrics,
            options=options,
        ),
        shadows=shadows,
        features=FeatureService(deployments=deployments, store=store, metrics=metrics, options=options),
        batches=BatchService(settings, deployments=deployments, options=options),
        outcomes=OutcomeService(deployments=deployments, outbox=outbox, decisions=decisions),
        decisions=decisions,
        approvals=approvals,
        readiness=readiness,
        outbox=outbox,
        store=store,
        metrics=metrics,
        observation=Observation(
            settings, deployments=deployments, store=store, outbox=outbox, readiness=readiness, team=team
        ),
        overview_page=OverviewPage(
            settings, deployments=deployments, readiness=readiness, approvals=approvals, decisions=decisions
        ),
        alerts_page=AlertsPage(settings),
        figure_pages=FigurePages(settings, reports=options.page_urls.reports),
        links=page_links(options.page_urls),
        team=team,
    )


async def _watch(services: Services, poll_seconds: float) -> None:
    while True:
        await asyncio.sleep(poll_seconds)
        await services.deployments.look()
        # at each look, not each request; other workers would not see a callback
        services.metrics.waiting.set(services.outbox.n_waiting)
