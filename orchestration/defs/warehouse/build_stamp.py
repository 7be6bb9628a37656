"""When a dbt step can skip its build: project, inputs and outputs are unchanged since the last one.

A build rewrites every table, a minute for the Lending Club file. After a build without failures the step writes a stamp
beside dbt's artefacts; the lake's snapshots show all later changes.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg

from orchestration.lib.dbt_project import project_fingerprint
from warehouse.errors import LakeError
from warehouse.lake.changes import all_kept, changed_tables
from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import DBT_PROJECT_DIR, Settings

_NAME = "built.json"


@dataclass(frozen=True)
class BuildStamp:
    """``before`` and ``after``: the lake's snapshots around the build; ``project``: fingerprint of the dbt project."""

    project: str
    before: int
    after: int


class StampedBuild:
    """A dbt step's tables, as asset keys: ``reads`` from elsewhere, ``writes`` by the step."""

    def __init__(
        self, settings: Settings, target: Path, *, reads: Iterable[dg.AssetKey], writes: Iterable[dg.AssetKey]
    ) -> None:
        self._settings, self._path = settings, target / _NAME
        self._reads, self._writes = _names(reads), _names(writes)
        self._project = project_fingerprint(DBT_PROJECT_DIR)
        self._before = _snapshot(settings)

    def reason_to_build(self) -> str | None:
        """What has changed since the last build, or None."""
        try:
            stamp = BuildStamp(**json.loads(self._path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return "no earlier build without a failure"
        if stamp.project != self._project:
            return "the dbt project has changed"
        if stamp.after > self._before:
            return "the lake is older than the last build: it was restored or created again"
        with connect(self._settings) as con:
            if not all_kept(con, after=stamp.before):
                return "snapshots since the last build have expired"
            # since before the build, which may have missed rows that arrived during it
            changed = self._reads & changed_tables(con, after=stamp.before)
            changed |= self._writes & changed_tables(con, after=stamp.after)
        return f"changed: {', '.join(sorted(changed))}" if changed else None

    def begin(self) -> None:
        """Remove the stamp, so that a failed or killed build leaves none."""
        self._path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Write the stamp of a build without a failure."""
        stamp = BuildStamp(self._project, self._before, _snapshot(self._settings))
        self._path.write_text(json.dumps(asdict(stamp)))


def _snapshot(settings: Settings) -> int:
    try:
        with connect(settings) as con:
            return current_snapshot(con)
    except LakeError:
        return 0  # dbt makes the lake


def _names(keys: Iterable[dg.AssetKey]) -> frozenset[str]:
    return frozenset(".".join(key.path) for key in keys)
