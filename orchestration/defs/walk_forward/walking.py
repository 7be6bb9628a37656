"""One walk, for the command and the asset: dbt's label rule, the walk, its picture among the reports."""

from dataclasses import dataclass
from pathlib import Path

from ml.walk_forward.picture import draw_walk
from ml.walk_forward.plan import WalkPlan
from ml.walk_forward.results import WalkedMonth
from ml.walk_forward.walk import Report, walk_forward
from orchestration.defs.walk_forward.label_rule import label_rule
from orchestration.lib.feature_contract import feature_contract
from warehouse.settings import Settings


@dataclass(frozen=True)
class Walk:
    """Every month of the run and their picture."""

    months: list[WalkedMonth]
    png: bytes
    plot: Path


def run_walk(
    settings: Settings,
    plan: WalkPlan,
    report: Report | None = None,
    *,
    feature_version: str = "",
    plot: Path | None = None,
) -> Walk:
    """Walk the plan and draw the run to ``plot`` (default: a report); ``feature_version``: default the latest."""
    contract = feature_contract(settings, feature_version, source=plan.source)
    rule = label_rule(settings)
    months = walk_forward(settings, plan, rule, contract, report)
    path = plot or settings.reports / "walk_forward" / f"{plan.source}-{plan.run}.png"
    png = draw_walk(months)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
    return Walk(months, png, path)
