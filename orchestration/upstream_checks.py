"""Whether everything upstream is green, asked anew in each run.

A failing dbt test stops what follows it in its own run. A run that starts later, or selects only what is downstream,
would not hear of it (dagster#25112): so the steps that train and publish ask for the latest result of every blocking
check upstream, whichever run it came from, and for what dbt could not report as a check.
"""

from collections.abc import Iterable

import dagster as dg

from orchestration.dbt_project import build_failures
from warehouse.errors import RunRefused
from warehouse.settings import Settings


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


def _problem(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> str | None:
    record = instance.get_latest_asset_check_evaluation_record(key)
    evaluation = record.evaluation if record and record.status.value != "PLANNED" else None
    if evaluation is None:
        return f"{_name(key)} has not been evaluated"
    if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
        return f"{_name(key)} failed in run {record.run_id[:8] if record else '?'}"
    latest = instance.get_latest_materialization_event(key.asset_key)
    judged = evaluation.target_materialization_data
    if latest is not None and (judged is None or judged.run_id != latest.run_id):
        return f"{_name(key)} has not been evaluated since run {latest.run_id[:8]} made the table anew"
    return None


def _name(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}:{key.name}"
