"""Monitoring results start a training.

A person must start the three sensors in the UI: the lender decides whether training is automatic. Each starts one run
per reason: the run key names the model version and the month (or number of labels).
"""

from collections.abc import Callable, Iterator

import dagster as dg

from ml.registry.deployment import Deployment
from orchestration.defs.monitoring.alert_rules import Alarm, decay_alarm, drift_alarm, new_labels_alarm
from orchestration.defs.pipeline.jobs import retrain
from orchestration.lib.champions import champion_of, refresh_config
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings


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


def _requests(rule: Callable[[Settings, Deployment], Alarm | None]) -> Iterator[dg.RunRequest | dg.SkipReason]:
    settings = Settings.from_environment()
    alarms: list[Alarm] = []
    unread: list[str] = []
    in_service = settings.deployed_lenders()
    for lender in in_service:
        try:
            champion = champion_of(settings, lender)
            alarm = rule(settings, champion) if champion is not None else None
        except LoanlakeError as error:  # one lender's file stops no other
            unread.append(f"what was measured of {lender} cannot be read: {error}")
        else:
            alarms += [alarm] if alarm is not None else []
    if not alarms:
        none = f"no reason to train among {len(in_service)} models" if in_service else "no model in service"
        yield dg.SkipReason("; ".join(unread) or none)
    for alarm in alarms:
        yield dg.RunRequest(
            run_key=alarm.key,
            run_config={"resources": {"run_settings": {"config": refresh_config(settings, alarm.source)}}},
            tags={"loanlake/source": alarm.source, "loanlake/reason": alarm.reason},
        )
