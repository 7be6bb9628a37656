"""A log handler for Dagster, named in `dagster.yaml`: passes what happened to the sender, and costs a run nothing.

It is part of every run, whoever started it: `loanlake run`, the UI, a schedule or a sensor.
"""

import logging
import os

#: Dagster's events that have an OpenLineage event; those of a run have their former names.
_TOLD = {
    "PIPELINE_START",
    "STEP_START",
    "ASSET_MATERIALIZATION",
    "STEP_SUCCESS",
    "STEP_FAILURE",
    "PIPELINE_SUCCESS",
    "PIPELINE_FAILURE",
    "PIPELINE_CANCELED",
}
#: For ``dagster.yaml``.
CONFIG = {
    "dagster_handler_config": {
        "handlers": {"openlineage": {"class": "orchestration.lineage.run_log.OpenLineageHandler"}},
    }
}


def is_wanted() -> bool:
    """Whether the standard variables name a receiver and do not switch OpenLineage off."""
    off = os.environ.get("OPENLINEAGE_DISABLED", "").lower() in ("true", "1")
    return bool(os.environ.get("OPENLINEAGE_URL")) and not off


class OpenLineageHandler(logging.Handler):
    """Sees each record of a run's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on an event that lineage is made of; never raises."""
        event = getattr(record, "dagster_event", None)
        if event is None or event.event_type_value not in _TOLD or not is_wanted():
            return
        try:
            from orchestration.lineage.sending import sender

            sender().tell(str(getattr(record, "dagster_meta", {}).get("run_id")), event, record.created)
        except Exception:
            self.handleError(record)
