"""A sensor evaluated once, for a lender that Dagster knows."""

from functools import partial

import dagster as dg

from tests.lender_jobs import lender_jobs, nothing
from tests.registered_version import registered_version

LENDER, NAME = "lending_club", "default_risk_lending_club"
of_lender = partial(registered_version, source=LENDER, name=NAME)


def tick(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str]:
    """The run requests of one evaluation, and what it said or the cursor it left."""
    with dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=lender_jobs()) as context:
        data = sensor.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or data.cursor or ""


def of_request(instance: dg.DagsterInstance, job: str, request: dg.RunRequest) -> dg.DagsterRun:
    """The run that Dagster makes of a request."""
    return instance.create_run_for_job(dg.JobDefinition(name=job, graph_def=nothing), tags=request.tags)
