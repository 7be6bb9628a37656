"""Whether everything upstream is green, checked again in each run.

A failing dbt test stops only its own run; a later run, or one of downstream assets alone, would not notice
(dagster#25112). So steps that train and publish read the latest result of every blocking check upstream.
"""

from collections.abc import Iterable
from typing import NamedTuple

import dagster as dg

from orchestration.lib.dbt_project import build_failures
from warehouse.errors import OtherRunUnderWay, RunRefused
from warehouse.settings import Settings

#: Maximum runs searched for a check's latest result.
_RUNS_BACK = 20


class CheckResult(NamedTuple):
    """A result of a check: the run, the time (Unix seconds) and the evaluation."""

    run_id: str
    at: float
    evaluation: dg.AssetCheckEvaluation


class _Problem(NamedTuple):
    text: str
    #: Whether another run, which has not ended, may evaluate the check.
    is_awaited: bool = False


def require_green(
    instance: dg.DagsterInstance, settings: Settings, checks: Iterable[dg.AssetCheckSpec], *, before: str, run_id: str
) -> int:
    """Return the number of passed blocking checks; raises RunRefused naming the others.

    ``before``: what must wait; ``run_id``: the run that asks. A check must have run since its asset was last
    materialised. Raises OtherRunUnderWay if all that is missing are checks that another run, such as another lender's,
    has yet to evaluate.
    """
    blocking = sorted(check.key for check in checks if check.blocking)
    problems = [problem for key in blocking if (problem := _problem(instance, key, run_id))]
    problems += [_Problem(f"dbt {failure}") for failure in build_failures(settings.dbt_target)]
    if not problems:
        return len(blocking)
    message = (
        f"{before} must wait until every check upstream is green: {len(problems)} of {len(blocking)} are not: "
        f"{'; '.join(problem.text for problem in problems[:10])}. "
    )
    if all(problem.is_awaited for problem in problems):
        raise OtherRunUnderWay(f"{message}That run has not ended: it may evaluate them")
    raise RunRefused(f"{message}Mend the data or the model, then materialise the asset that failed")


def latest_result(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> CheckResult | None:
    """The last result of a check; planned checks do not count. None if there is none."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=_RUNS_BACK)
    latest = next((record for record in history if record.status.value != "PLANNED"), None)
    if latest is None or latest.event is None or latest.evaluation is None:
        return None
    return CheckResult(latest.run_id, latest.event.timestamp, latest.evaluation)


def _problem(instance: dg.DagsterInstance, key: dg.AssetCheckKey, run_id: str) -> _Problem | None:
    found = latest_result(instance, key)
    if found is None:
        return _Problem(f"{_name(key)} has not been evaluated")
    if not found.evaluation.passed and found.evaluation.severity == dg.AssetCheckSeverity.ERROR:
        return _Problem(f"{_name(key)} failed in run {found.run_id[:8]}")
    latest = instance.get_latest_materialization_event(key.asset_key)
    # by time: in the run of a partition, Dagster notes no materialisation that an unpartitioned table's check judged
    if latest is not None and found.at < latest.timestamp:
        other = instance.get_run_by_id(latest.run_id) if latest.run_id != run_id else None
        return _Problem(
            f"{_name(key)} has not been evaluated since run {latest.run_id[:8]} rebuilt the table",
            is_awaited=other is not None and not other.is_finished,
        )
    return None


def _name(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}:{key.name}"
