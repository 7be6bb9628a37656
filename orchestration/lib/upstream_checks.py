"""Whether everything upstream is green, checked again in each run.

A failing dbt test stops what follows it in its own run. A later run, or one that selects only downstream assets, would
not notice it (dagster#25112). So the steps that train and publish read the latest result of every blocking check
upstream, whichever run evaluated it, and of what dbt could not report as a check.
"""

from collections.abc import Iterable

import dagster as dg

from orchestration.lib.dbt_project import build_failures
from warehouse.errors import RunRefused
from warehouse.settings import Settings

#: How far back a check's latest result is looked for, past runs that were planned and never came to it.
_RUNS_BACK = 20


def require_green(
    instance: dg.DagsterInstance, settings: Settings, checks: Iterable[dg.AssetCheckSpec], *, before: str
) -> int:
    """Return how many blocking checks passed; raises RunRefused naming those that did not.

    ``before`` says what must wait. A check that has not run since its asset was last materialised does not count as
    passed.
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
    """The id of the last run with a result for a check, and the result; None if there is none.

    A check is planned as soon as its run exists. That of this run, or of a waiting one (a refresh for a file in the
    inbox), says nothing yet about the current table.
    """
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
