"""Have dbt compile the label rule with its day left open; nothing is built."""

import json
import os
import subprocess
from pathlib import Path

from orchestration.dbt_project import DBT, project_fingerprint
from warehouse.errors import DbtProjectError
from warehouse.label_rule import DAY, SPLITS_MODEL, LabelRule
from warehouse.settings import DBT_PROJECT_DIR, Settings


def label_rule(settings: Settings, *, window_months: int, project_dir: Path = DBT_PROJECT_DIR) -> LabelRule:
    """The rule for a default within ``window_months``; compiled only when the project has changed since it last was.

    Raises DbtProjectError with dbt's own words when it cannot be.
    """
    variables = {"as_of": DAY, "label_window_months": window_months}
    target = settings.dbt_as_of / f"{window_months}_months"
    stamp, fingerprint = target / "project.sha256", project_fingerprint(project_dir)
    if not stamp.exists() or stamp.read_text() != fingerprint:
        _compile(target, json.dumps(variables), project_dir, settings)
        stamp.write_text(fingerprint)
    return LabelRule.from_manifest(target / "manifest.json")


def _compile(target: Path, variables: str, project_dir: Path, settings: Settings) -> None:
    # as of a fresh build: an incremental model would otherwise compile to the rows it has not seen yet
    command = [str(DBT), "--quiet", "compile", "--full-refresh", "--vars", variables]
    command += ["--select", *(f"+{SPLITS_MODEL},path:models/{layer}" for layer in ("core", "training"))]
    command += ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir), "--no-use-colors"]
    command += ["--target-path", str(target), "--log-path", str(target)]
    environment = {**os.environ, "LOANLAKE_HOME": str(settings.home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=project_dir)  # noqa: S603
    if done.returncode != 0:
        raise DbtProjectError(
            f"dbt cannot compile the label rule of the project in {project_dir}:\n"
            f"{done.stdout.strip()}{done.stderr.strip()}"
        )
