"""Monitoring results start a training, and due messages a sending.

A person must start the three sensors of training in the UI: the lender decides whether training is automatic. Each
starts one run per lender and reason: the run key names the lender, the model version and the month (or number of
labels).
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from ml.registry.deployment import Deployment
from orchestration.defs.monitoring.alert_rules import Alarm, decay_alarm, drift_alarm, new_labels_alarm
from orchestration.defs.pipeline.jobs import default_risk, monitor, retrain, send_alerts
from orchestration.lib.champions import champion_of, refresh_config
from orchestration.lib.lenders import run_of, why_unknown
from orchestration.lib.retries import UNFINISHED, why_not_now
from warehouse.alerts.prepared import read_prepared
from warehouse.alerts.sending import outlook
from warehouse.errors import LoanlakeError
from warehouse.figures.published import publish_figures
from warehouse.settings import Settings

#: How long messages wait for a run that measures, which sends at its end.
_LONGEST_WAIT: Final = timedelta(hours=1)


@dg.sensor(job=retrain, minimum_interval_seconds=300)
def drift_found() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Train if the scores, or most features, have drifted in the newest measured month."""
    yield from _requests(drift_alarm)


@dg.sensor(job=retrain, minimum_interval_seconds=300)
def performance_decayed() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Train if mature labels show that the champion ranks worse, or expects less risk, than in its test."""
    yield from _requests(decay_alarm)


@dg.sensor(job=retrain, minimum_interval_seconds=300)
def labels_matured() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Train if enough labels have matured since the champion was trained."""
    yield from _requests(new_labels_alarm)


@dg.sensor(job=send_alerts, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def alerts_to_send(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run when a route must be notified, or a failed message is due again.

    Shows an alert on the API's pages that no run has found, such as a file that is late since today.
    """
    settings = Settings.from_environment()
    try:
        found = outlook(settings)
        prepared = read_prepared(settings)
        if prepared is not None and prepared.alerts != tuple(found.alerts):
            publish_figures(settings)
    except LoanlakeError as error:
        return dg.SkipReason(f"alerts cannot be sent: {error}")
    if not found.n_routes:
        return dg.SkipReason("no route of alerts is declared: docs/alerts.md")
    dead = f"; {len(found.dead):,} were given up: `loanlake alerts send --dead` repeats them" if found.dead else ""
    if not found.due:
        unknown = "".join(f"; a route gets no alert: {problem}" for problem in found.problems)
        return dg.SkipReason(f"no notification is due{dead}{unknown}")
    why_not = _why_not_yet(context.instance) or why_not_now(context.instance, send_alerts.name)
    return dg.SkipReason(f"{len(found.due):,} notifications are due; {why_not}{dead}") if why_not else dg.RunRequest()


def _why_not_yet(instance: dg.DagsterInstance) -> str:
    """Halfway through a run, alerts of a version that was replaced have ended and those of its successor are to come.

    Unfinished after an hour, a run may be stuck: it keeps no message any longer.
    """
    begun = datetime.now(UTC) - _LONGEST_WAIT
    for job in (retrain, monitor, default_risk):
        if instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED, created_after=begun)):
            return f"a run of {job.name} is under way, and sends at its end"
    return ""


def _requests(rule: Callable[[Settings, Deployment], Alarm | None]) -> Iterator[dg.RunRequest | dg.SkipReason]:
    settings = Settings.from_environment()
    requests: list[dg.RunRequest] = []
    said: list[str] = []
    in_service = settings.deployed_lenders()
    for lender in in_service:
        try:
            champion = champion_of(settings, lender)
            alarm = rule(settings, champion) if champion is not None else None
            if alarm is None:
                continue
            if why := why_unknown(lender):
                said.append(f"{alarm.reason}, and is not trained: {why}")
            else:
                requests.append(_request(settings, alarm))
        except LoanlakeError as error:  # one lender's file stops no other
            said.append(f"what was measured of {lender} cannot be read: {error}")
    yield from requests
    if not requests:
        none = f"no reason to train among {len(in_service)} models" if in_service else "no model in service"
        yield dg.SkipReason("; ".join(said) or none)


def _request(settings: Settings, alarm: Alarm) -> dg.RunRequest:
    return run_of(
        alarm.source,
        run_key=f"{alarm.source}-{alarm.key}",
        run_settings=refresh_config(settings, alarm.source),
        tags={"loanlake/reason": alarm.reason},
    )
