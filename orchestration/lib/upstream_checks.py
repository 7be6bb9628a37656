"""Whether everything upstream is green, checked again in each run.

A failing dbt test stops only its own run; a later run, or one of downstream assets alone, would not notice
(dagster#25112). So steps that train and publish read the latest result of every blocking check upstream.
"""

from collections.abc import Iterable

import dagster as dg

from orchestration.lib.dbt_project import build_failures
from warehouse.errors import RunRefused
from warehouse.settings import Settings

#: Maximum runs searched for a check's latest result.
_RUNS_BACK = 20


def require_green(
    instance: dg.DagsterInstance, settings: Settings, checks: Iterable[dg.AssetCheckSpec], *, before: str
) -> int:
    """Return the number of passed blocking checks; raises RunRefused naming the others.

    ``before``: what must wait. A check must have run since its asset was last materialised.
    """
    blocking = sorted(check.key for check in checks if check.blocking)
    problems = [problem for key in blocking if (problem := _problem(instance, key))]
    problems += [f"dbt {failure}" for failure in build_failures(settings.dbt_target)]
    if problems:
        raise RunRefused(
            f"{before} must wait until every check upstream is green: {len(problems)} of {len(blocking)} are not: "
            f"{'; '.join(problems[:10])}. Mend the data or the model, then materialise the asset that failed"
        )
    return len(blocking)


def latest_result(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> tuple[str, dg.AssetCheckEvaluation] | None:
    """The last run with a result for a check, and the result; planned checks do not count. None if there is none."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=_RUNS_BACK)
    latest = next((record for record in history if record.status.value != "PLANNED"), None)
    return (latest.run_id, latest.evaluation) if latest and latest.evaluation else None


def _problem(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> str | None:
    found = latest_result(instance, key)
    if found is None:
        return f"{_name(key)} has not been evaluated"
    run_id, evaluation = found
    if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
        return f"{_name(key)} failed in run {run_id[:8]}"
    latest = instance.get_latest_materialization_event(key.asset_key)
    judged = evaluation.target_materialization_data
    if latest is not None and (judged is None or judged.run_id != latest.run_id):
        return f"{_name(key)} has not been evaluated since run {latest.run_id[:8]} rebuilt the table"
    return None


def _name(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}:{key.name}"
