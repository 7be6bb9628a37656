"""Lets dbt compile the label rule with an open day; nothing is built."""

import json
from collections.abc import Mapping
from pathlib import Path

from orchestration.lib.dbt_project import project_fingerprint, run_dbt
from warehouse.lenders.label_rule import DAY, SPLITS_MODEL, LabelRule
from warehouse.settings import DBT_PROJECT_DIR, Settings


def label_rule(settings: Settings, *, window_months: int, project_dir: Path = DBT_PROJECT_DIR) -> LabelRule:
    """Compile the rule for a default within ``window_months``, if the project has changed; raises DbtProjectError."""
    variables = {"as_of": DAY, "label_window_months": window_months}
    target = settings.dbt_as_of / f"{window_months}_months"
    stamp, fingerprint = target / "project.sha256", project_fingerprint(project_dir)
    if not stamp.exists() or stamp.read_text() != fingerprint:
        _compile(settings, target, project_dir, variables)
        stamp.write_text(fingerprint)
    return LabelRule.from_manifest(target / "manifest.json")


def _compile(settings: Settings, target: Path, project_dir: Path, variables: Mapping[str, object]) -> None:
    # an incremental model would otherwise compile to its new rows only
    arguments = ["compile", "--full-refresh", "--vars", json.dumps(variables)]
    arguments += ["--select", *(f"+{SPLITS_MODEL},path:models/{layer}" for layer in ("core", "training"))]
    run_dbt(arguments, settings, target=target, project_dir=project_dir, doing="compile the label rule of the project")
