"""One walk, for the command and the asset: dbt's label rule, the walk, its picture among the reports."""

import json
from dataclasses import dataclass
from pathlib import Path

from ml.walk_forward.picture import draw_walk
from ml.walk_forward.plan import WalkPlan
from ml.walk_forward.results import WalkedMonth
from ml.walk_forward.walk import Report, walk_forward
from orchestration.lib.dbt_project import project_fingerprint, run_dbt
from orchestration.lib.feature_versions import feature_contract
from warehouse.lenders.label_rule import DAY, RESULTS, LabelRule
from warehouse.settings import DBT_PROJECT_DIR, Settings


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


def label_rule(settings: Settings, *, project_dir: Path = DBT_PROJECT_DIR) -> LabelRule:
    """Compile the rule, if the project has changed; raises DbtProjectError."""
    target = settings.dbt_as_of
    stamp, fingerprint = target / "project.sha256", project_fingerprint(project_dir)
    if not stamp.exists() or stamp.read_text() != fingerprint:
        # an incremental model would otherwise compile to its new rows only
        arguments = ["compile", "--full-refresh", "--vars", json.dumps({"as_of": DAY})]
        layers = ("lenders", "core", "training")
        arguments += ["--select", *(f"+{model},path:models/{layer}" for model in RESULTS for layer in layers)]
        doing = "compile the label rule of the project"
        run_dbt(arguments, settings, target=target, project_dir=project_dir, doing=doing)
        stamp.write_text(fingerprint)
    return LabelRule.from_manifest(target / "manifest.json")
