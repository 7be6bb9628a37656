"""Output of ``loanlake run`` while a job runs: one line per step, with rows and seconds, and why it stopped."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO, cast

from dagster import AssetCheckEvaluation, AssetMaterialization, EventLogEntry

#: Steps in the words of a reader; those not listed show their own name.
STEP_TITLES = {
    "dbt_warehouse": "staging, core, features",
    "rows_set_aside_few_rows_are_set_aside": "rows set aside",
    "rows_keep_the_contract": "contract check",
    "dbt_training": "labels, training rows",
    "training_set": "training set",
    "candidate": "train and evaluate",
    "evaluation": "judge",
    "registered_model": "register",
    "gates": "gates",
    "online_store": "online store",
    "deployment": "deploy",
    "batch_decisions": "score unseen applications",
    "online_decisions": "online decisions",
    "drift": "drift",
    "drift_report": "drift report",
    "feature_skew": "skew",
    "model_performance": "performance",
    "performance_estimates": "estimates",
    "dbt_monitoring": "alerts",
}
SUMMARY = "summary"


@dataclass
class _Step:
    started: float
    tables: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    n_passed: int = 0
    said: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class Progress:
    """Writes a line per finished step; ``quiet_steps`` only if they did something (other sources' ingestion).

    ``finished``: names of the steps that succeeded, such as ``candidate``.
    """

    def __init__(self, out: TextIO | None = None, *, quiet_steps: frozenset[str] = frozenset()) -> None:
        self.refusals: list[str] = []
        self.failure: str | None = None
        self.finished: set[str] = set()
        self._out = out or sys.stdout
        self._quiet = quiet_steps
        self._steps: dict[str, _Step] = {}

    def __call__(self, event: EventLogEntry) -> None:
        """Process the next event, in stored order."""
        if event.dagster_event is None:
            return
        step, data = event.dagster_event.step_key or "", cast(Any, event.dagster_event.event_specific_data)
        match event.dagster_event.event_type_value:
            case "STEP_START":
                self._started(step, event.timestamp)
            case "ASSET_MATERIALIZATION":
                self._materialised(step, data.materialization)
            case "ASSET_CHECK_EVALUATION":
                self._checked(step, data)
            case "STEP_SUCCESS":
                self._succeeded(step, event.timestamp)
            case "STEP_FAILURE":
                self._failed(step, data.error, event.timestamp)

    def _started(self, step: str, at: float) -> None:
        self._steps[step] = _Step(at)
        if self._out.isatty() and step not in self._quiet:
            self._out.write(f"  … {_title(step)}\r")
            self._out.flush()

    def _materialised(self, step: str, materialisation: AssetMaterialization) -> None:
        name = "/".join(materialisation.asset_key.path)
        self._steps[step].tables[name] = {key: value.value for key, value in materialisation.metadata.items()}

    def _checked(self, step: str, check: AssetCheckEvaluation) -> None:
        if SUMMARY in check.metadata:
            self._steps[step].said.append(str(check.metadata[SUMMARY].value))
        if check.passed:
            self._steps[step].n_passed += 1
        elif check.severity.value == "ERROR":
            failed_rows = check.metadata.get("dagster_dbt/failed_row_count")
            reason = check.description or (f"{failed_rows.value} rows failed" if failed_rows else "")
            refusal = f"{check.asset_key.to_user_string()}: {check.check_name}{f': {reason}' if reason else ''}"
            self._steps[step].refusals.append(refusal)
            self.refusals.append(refusal)

    def _succeeded(self, step: str, at: float) -> None:
        found = self._steps[step]
        self.finished.add(_asset(step))
        if step in self._quiet and not any(table.get("rows_loaded") for table in found.tables.values()):
            return
        self._line("ok", step, _summary(found), at - found.started)

    def _failed(self, step: str, error: Any, at: float) -> None:
        found = self._steps.get(step, _Step(at))
        cause = _cause(error) if error else "failed"
        if not found.refusals and self.failure is None:
            self.failure = f"{_title(step)}: {cause}"
        self._line("STOP", step, "\n".join(found.refusals[:3]) or cause, at - found.started)

    def _line(self, mark: str, step: str, text: str, seconds: float) -> None:
        first, *rest = text.splitlines() or [""]
        self._out.write(f"{mark:>4}  {_title(step):<26}{first:<64}{seconds:>7.1f} s\n")
        for line in rest:
            self._out.write(f"{'':<32}{line}\n")
        self._out.flush()

    @property
    def reason(self) -> str:
        """Why the run stopped, in one line."""
        if self.refusals:
            more = f" (and {len(self.refusals) - 1} more)" if len(self.refusals) > 1 else ""
            return " ".join(self.refusals[0].split()) + more
        return " ".join((self.failure or "the run failed before its first step").split())


def _asset(step: str) -> str:
    return step.rpartition("__")[2]


def _title(step: str) -> str:
    step = _asset(step)
    if step.startswith("ingest_"):
        return f"ingest {step.removeprefix('ingest_')}"
    return STEP_TITLES.get(step, step.replace("_", " "))


def _summary(step: _Step) -> str:
    said = [*step.said, *(str(table[SUMMARY]) for table in step.tables.values() if SUMMARY in table)]
    if said:
        return "; ".join(dict.fromkeys(said))
    loaded = [table for table in step.tables.values() if "rows_loaded" in table]
    if loaded:
        return _loaded_text(loaded)
    counted = [int(table["dagster/row_count"]) for table in step.tables.values() if "dagster/row_count" in table]
    tables = "1 table" if len(counted) == 1 else f"{len(counted)} tables"
    parts = [f"{tables}, {sum(counted):,} rows"] if counted else []
    parts += [f"{step.n_passed} check{'s' if step.n_passed > 1 else ''} passed"] if step.n_passed else []
    return ", ".join(parts)


def _loaded_text(tables: list[Mapping[str, Any]]) -> str:
    rows, rejected = (sum(int(table[name]) for table in tables) for name in ("rows_loaded", "lines_rejected"))
    before = sum(int(table["rows_loaded_before"]) for table in tables)
    parts = [f"{rows:,} rows"] if rows else ["nothing new"]
    parts += [f"{before:,} rows loaded before"] if before else []
    parts += [f"{rejected:,} lines rejected"] if rejected else []
    return ", ".join(parts)


def _cause(error: Any) -> str:
    """The innermost error's message, without Dagster's class name."""
    while error.cause is not None:
        error = error.cause
    name, _, words = str(error.message).strip().partition(": ")
    return words if words and name.rpartition(".")[2] == error.cls_name else str(error.message).strip()


def elapsed(since: float) -> str:
    """Minutes and seconds since a moment of :func:`time.monotonic`, for the closing line."""
    minutes, seconds = divmod(round(time.monotonic() - since), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
