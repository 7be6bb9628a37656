"""A file in the inbox starts a refresh of its source."""

import hashlib
import json
from collections.abc import Iterator
from itertools import groupby

import dagster as dg

from orchestration.defs.pipeline.jobs import refresh
from orchestration.inbox import WaitingFile, waiting_files
from warehouse.settings import Settings


@dg.sensor(job=refresh, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def new_files(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Load files that wait in ``inbox/<source>/[<entity>/]``; each file as it is now is tried once.

    A file that cannot be loaded stays where it is, and is tried again when it is replaced.
    """
    waiting = waiting_files(Settings.from_environment())
    tried = set(json.loads(context.cursor)) if context.cursor else set()
    fresh = [file for file in waiting if file.identity not in tried]
    if not fresh:
        yield dg.SkipReason(
            f"{len(waiting)} files in the inbox, each tried before" if waiting else "the inbox is empty"
        )
        return
    for source, files in groupby(fresh, key=lambda file: file.source):
        yield dg.RunRequest(
            run_key=_run_key(list(files)),
            run_config={"resources": {"run_settings": {"config": {"source": source}}}},
            tags={"loanlake/source": source},
        )
    # only what still waits is worth remembering: a file that was loaded has left
    context.update_cursor(json.dumps([file.identity for file in waiting]))


def _run_key(files: list[WaitingFile]) -> str:
    return hashlib.sha256("\n".join(file.identity for file in files).encode()).hexdigest()
