"""Lets dbt compile the label rule with an open day; nothing is built."""

import json
from pathlib import Path

from orchestration.lib.dbt_project import project_fingerprint, run_dbt
from warehouse.lenders.label_rule import DAY, SPLITS_MODEL, LabelRule
from warehouse.settings import DBT_PROJECT_DIR, Settings


def label_rule(settings: Settings, *, project_dir: Path = DBT_PROJECT_DIR) -> LabelRule:
    """Compile the rule, if the project has changed; raises DbtProjectError."""
    target = settings.dbt_as_of
    stamp, fingerprint = target / "project.sha256", project_fingerprint(project_dir)
    if not stamp.exists() or stamp.read_text() != fingerprint:
        _compile(settings, target, project_dir)
        stamp.write_text(fingerprint)
    return LabelRule.from_manifest(target / "manifest.json")


def _compile(settings: Settings, target: Path, project_dir: Path) -> None:
    # an incremental model would otherwise compile to its new rows only
    arguments = ["compile", "--full-refresh", "--vars", json.dumps({"as_of": DAY})]
    arguments += ["--select", *(f"+{SPLITS_MODEL},path:models/{layer}" for layer in ("lenders", "core", "training"))]
    run_dbt(arguments, settings, target=target, project_dir=project_dir, doing="compile the label rule of the project")
