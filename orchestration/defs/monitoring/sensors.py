"""Monitoring results start a training.

A person must start the three sensors in the UI: the lender decides whether training is automatic. Each starts one run
per reason: the run key names the model version and the month (or number of labels).
"""

from collections.abc import Callable, Iterator

import dagster as dg

from ml.registry.deployment import Deployment
from orchestration.defs.monitoring.alert_rules import Alarm, decay_alarm, drift_alarm, new_labels_alarm
from orchestration.defs.pipeline.jobs import retrain
from orchestration.lib.champions import champions, refresh_config
from warehouse.errors import LakeError
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
    in_service = champions(settings)
    try:
        alarms = [alarm for champion in in_service if (alarm := rule(settings, champion)) is not None]
    except LakeError as error:
        yield dg.SkipReason(f"what was measured cannot be read: {error}")
        return
    if not alarms:
        yield dg.SkipReason(
            f"no reason to train among {len(in_service)} models" if in_service else "no model in service"
        )
    for alarm in alarms:
        yield dg.RunRequest(
            run_key=alarm.key,
            run_config={"resources": {"run_settings": {"config": refresh_config(settings, alarm.source)}}},
            tags={"loanlake/source": alarm.source, "loanlake/reason": alarm.reason},
        )
