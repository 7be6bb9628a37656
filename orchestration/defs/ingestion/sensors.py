"""A file in the inbox starts a refresh of its source; a failed refresh is retried twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import dagster as dg
import msgspec

from orchestration.defs.ingestion.inbox import Look, look
from orchestration.defs.pipeline.jobs import refresh
from orchestration.defs.pipeline.loaded_sources import is_read_by_models
from orchestration.lib.lenders import run_of, why_unknown
from orchestration.lib.retries import MOST_TRIES, failed_runs, why_not_now
from warehouse.settings import Settings

_INBOX_TAG = "loanlake/inbox"
_SHOWN = 5


@dataclass(frozen=True)
class _Asked:
    """The tag of a lender's last runs, and the files that still wait."""

    tag: str
    files: frozenset[str]

    @property
    def tags(self) -> dict[str, str]:
        return {_INBOX_TAG: self.tag}


@dg.sensor(job=refresh, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def new_files(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Load files that wait in ``inbox/<source>/[<entity>/]``: one run a lender; a failed run is retried twice.

    A run that meets a file that cannot be loaded sets it aside and fails; the next run builds what was loaded beside
    it. A run that found the lake busy, or a file still being written, left its files for the next run.
    """
    settings = Settings.from_environment()
    found = look(settings)
    # a file whose clock is ahead: the run looks twice
    ready = sorted([*found.waiting, *(file for file in found.unsettled if file.is_ahead)], key=lambda file: file.source)
    waiting = {
        source: frozenset(file.identity for file in files)
        for source, files in groupby(ready, key=lambda file: file.source)
    }
    last_asked = msgspec.json.decode(context.cursor or "{}", type=dict[str, _Asked])
    unread = {source: why for source in {*waiting, *last_asked} if (why := _why_no_run(settings, source))}
    said = [f"the files of {source} are not loaded: {unread[source]}" for source in sorted(unread & waiting.keys())]
    waiting = {source: files for source, files in waiting.items() if source not in unread}
    unsettled = {
        source: asked
        for source, asked in last_asked.items()
        if source not in unread and (source in waiting or _has_not_succeeded(context.instance, asked))
    }
    requests, asked_now = [], {}
    for source in sorted({*waiting, *unsettled}):
        files, last = waiting.get(source, frozenset()), unsettled.get(source)
        if last is not None and not files <= last.files and _is_under_way(context.instance, last):
            # it may yet load them; those that it leaves are new to the tick after it
            files, why_not = files & last.files, "files have come since a run was started, which may load them"
        elif last is None or not files <= last.files:
            # by time, not by files: a file renamed back has three tries again
            last, why_not = _Asked(f"{source}, {datetime.now(UTC).isoformat()}", files), ""
        else:
            why_not = _why_not_again(context.instance, source, last)
        if why_not:
            said.append(f"{source}: {why_not}")
        else:
            requests.append(_request(source, last))
        # keep only what still waits: other files were loaded or set aside
        asked_now[source] = _Asked(last.tag, files)
    context.update_cursor(msgspec.json.encode(asked_now).decode())
    yield from requests
    if not requests:
        yield dg.SkipReason("; ".join([*said, *_stays(found, settings)]) or "the inbox is empty")


def _why_no_run(settings: Settings, source: str) -> str:
    if not is_read_by_models(settings, source):
        return "no dbt model reads the lender, so that a run for it is refused"
    return why_unknown(source)


def _stays(found: Look, settings: Settings) -> list[str]:
    """Files that start no run, in words."""
    may_be_written = [file.path.relative_to(settings.inbox) for file in found.unsettled if not file.is_ahead]
    said = [f"{path} may still be written" for path in may_be_written[:_SHOWN]]
    said += [
        f"{file.path.relative_to(settings.inbox)} is not loaded: {file.why}" for file in found.passed_over[:_SHOWN]
    ]
    n_more = max(0, len(may_be_written) - _SHOWN) + max(0, len(found.passed_over) - _SHOWN)
    return said + ([f"and {n_more} more"] if n_more else [])


def _request(source: str, asked: _Asked) -> dg.RunRequest:
    # no run key: Dagster accepts each key once, even if its run fails
    return run_of(source, tags=asked.tags)


def _latest_run(instance: dg.DagsterInstance, asked: _Asked) -> dg.DagsterRun | None:
    return next(iter(instance.get_runs(dg.RunsFilter(job_name=refresh.name, tags=asked.tags), limit=1)), None)


def _is_under_way(instance: dg.DagsterInstance, asked: _Asked) -> bool:
    latest = _latest_run(instance, asked)
    return latest is not None and not latest.is_finished


def _has_not_succeeded(instance: dg.DagsterInstance, asked: _Asked) -> bool:
    """Whether the latest run failed or has not ended; a run that a person cancelled is not repeated."""
    latest = _latest_run(instance, asked)
    return latest is not None and (latest.is_failure or not latest.is_finished)


def _why_not_again(instance: dg.DagsterInstance, source: str, asked: _Asked) -> str:
    """Why no further run is started; empty if one should be."""
    latest = _latest_run(instance, asked)
    if latest is not None and latest.is_success and asked.files:
        return ""  # it left files that were open then, and are closed and unchanged now
    if not _has_not_succeeded(instance, asked):
        return f"{len(asked.files)} files wait, each tried before"
    if failed_runs(instance, refresh.name, asked.tags) >= MOST_TRIES:
        return (
            f"the run for its files failed {MOST_TRIES} times: its runs say why; `loanlake run {source}` tries again, "
            "and so does a file that is put into the inbox again"
        )
    return why_not_now(instance, refresh.name, asked.tags)
