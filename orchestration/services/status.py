"""``loanlake status``: the home's state, from the lake, the deployment file, the outbox and Dagster's storage.

Read-only; missing parts are shown as such. Versions come from the home's record, since importing MLflow takes 9 s.
"""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ml.judging.metrics import candidate_on_test, measured_split
from ml.registry.deployment import Deployment, read_deployment
from ml.registry.registered_version import load_registered
from ml.registry.version_states import version_states
from orchestration.defs.ingestion.inbox import look
from orchestration.defs.pipeline.loaded_sources import is_read_by_models
from orchestration.defs.training.candidates import current_candidate
from warehouse.alerts.sending import unsent_lines
from warehouse.alerts.states import read_alerts
from warehouse.alerts.texts import short_lines
from warehouse.backup.options import BackupOptions
from warehouse.backup.records import last_backup, restored_from, unfinished_restore
from warehouse.batches import BatchStates
from warehouse.decision_log import count_pending
from warehouse.errors import LakeError, LoanlakeError, NoLakeError, TeamError
from warehouse.lake.connection import connect
from warehouse.lake.data_files import lost_files
from warehouse.lenders.rules import broken_lenders
from warehouse.lenders.streams import DECISIONS_TO
from warehouse.settings import Settings, read
from warehouse.sources.late_sources import late_sources
from warehouse.sources.recorded import pull_texts
from warehouse.sources.rows_set_aside import losses
from warehouse.sources.streaming.lag import known_lags
from warehouse.sources.undated_corrections import undated_corrections
from warehouse.team import server
from warehouse.team.machines import machines

Row = tuple[Any, ...]
#: Maximum files named in a line.
_SHOWN = 3
#: A run's outcome for its candidate → the version's state until someone changes it.
_STATES_OF = {"waiting": "waiting", "in shadow": "on_trial"}


def status_text(settings: Settings, *, now: datetime | None = None) -> str:
    """The whole page, for printing."""
    now = now or datetime.now(UTC)
    sections: tuple[tuple[str, Callable[[], list[str]]], ...] = (
        ("home", lambda: [str(settings.home)]),
        ("data", lambda: [*_lake_lines(settings, _data_and_lost_lines(settings)), *_broken_lines()]),
        ("inbox", lambda: _inbox_lines(settings, now)),
        ("served", lambda: _served_lines(settings, now)),
        ("models", lambda: _model_lines(settings)),
        ("predictions", lambda: _lake_lines(settings, _prediction_lines) + _waiting_lines(settings)),
        ("alerts", lambda: _lake_lines(settings, lambda con: short_lines(read_alerts(con))) + unsent_lines(settings)),
        ("runs", lambda: _run_lines(settings, now)),
        ("backup", lambda: _backup_lines(settings, now)),
    )
    lines = []
    for title, lines_of in sections:
        try:
            first, *rest = lines_of() or ["none"]
        except TeamError as error:  # what this machine has is shown all the same
            first, rest = str(error), []
        lines.append(f"{title:<13}{first}")
        lines += [f"{'':<13}{line}" for line in rest]
    return "\n".join(lines)


def _inbox_lines(settings: Settings, now: datetime) -> list[str]:

    found = look(settings, now=now.timestamp())
    lines = []
    for source in dict.fromkeys(file.source for file in found.waiting):
        paths = [file.path for file in found.waiting if file.source == source]
        waits = "waits" if len(paths) == 1 else "wait"
        lines.append(f"{source}: {_named(paths, settings)} {waits} for a run{_without_models(settings, source)}")
    if found.unsettled:
        lines.append(f"may still be written: {_named([file.path for file in found.unsettled], settings)}")
    for why in dict.fromkeys(passed.why for passed in found.passed_over):
        paths = [passed.path for passed in found.passed_over if passed.why == why]
        lines.append(f"not loaded: {_named(paths, settings)}: {why}")
    return lines or ["empty"]


def _named(paths: Sequence[Path], settings: Settings) -> str:
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return ", ".join(str(path.relative_to(settings.inbox)) for path in paths[:_SHOWN]) + more


def _without_models(settings: Settings, source: str) -> str:
    if is_read_by_models(settings, source):
        return ""
    return f"; no dbt model reads the lender {source!r}, so that a run for it is refused"


def _lake_lines(settings: Settings, read: Callable[[duckdb.DuckDBPyConnection], list[str]]) -> list[str]:

    try:
        con = connect(settings)
    except NoLakeError:
        return ["no lake yet: start with `loanlake run`"]
    except LakeError as error:
        return [" ".join(str(error).split())]  # the driver's message has several lines
    try:
        return read(con)
    except duckdb.CatalogException:
        return ["nothing yet"]  # the lake is younger than the table
    finally:
        con.close()


def _data_lines(con: duckdb.DuckDBPyConnection) -> list[str]:
    loaded = con.execute(
        "select source, count(*), sum(n_rows), max(loaded_at) from raw.files group by source order by source"
    ).fetchall()
    rows: list[Sequence[str]] = [
        ("source", "files", "raw rows", "loaded", "applications", "decided until", "known until")
    ]
    clocks = _clocks(con)
    for source, n_files, n_rows, loaded_at in loaded:
        n_applications, decided_until, known_until = clocks.get(source, (0, None, None))
        rows.append(
            (
                source,
                f"{n_files:,}",
                f"{int(n_rows):,}",
                f"{loaded_at:%Y-%m-%d %H:%M}",
                f"{n_applications:,}",
                _day(decided_until),
                _day(known_until),
            )
        )
    if not loaded:
        return ["nothing loaded: start with `loanlake run` or `loanlake ingest`"]
    return [
        *_table(rows),
        *pull_texts(con),
        *map(str, losses(con)),
        *map(str, late_sources(con)),
        *undated_corrections(con),
    ]


def _data_and_lost_lines(settings: Settings) -> Callable[[duckdb.DuckDBPyConnection], list[str]]:
    return lambda con: [*_data_lines(con), *_lost_lines(con, settings)]


def _broken_lines() -> list[str]:
    """Lenders whose file cannot be read."""
    return [
        f"{lender} is not built, and stays as it was last built: {message}"
        for lender, message in broken_lenders().items()
    ]


def _lost_lines(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[str]:
    """By table, and what brings their rows back."""
    tables = Counter(lost.table for lost in lost_files(con, settings))
    remedies = {
        "raw": "`loanlake data reload` loads them again from the landing files",
        "serving": "restore them from a backup",
        "monitoring": "restore them from a backup",
    }
    build = "`dbt build --target prod --full-refresh` in warehouse/ builds them again"
    return [
        f"{table}: {n:,} data files are missing or cut short; {remedies.get(table.partition('.')[0], build)}"
        for table, n in sorted(tables.items())
    ]


def _clocks(con: duckdb.DuckDBPyConnection) -> dict[str, Row]:
    try:
        found = con.execute(
            "select source, count(*), max(decided_at), clock_at "
            "from core.int_applications left join core.int_clocks using (source) group by all"
        ).fetchall()
    except duckdb.CatalogException:
        return {}
    return {source: tuple(figures) for source, *figures in found}


def _served_lines(settings: Settings, now: datetime) -> list[str]:
    lines = [line for lender in settings.deployed_lenders() for line in _served_of(settings, lender, now)]
    return lines or ["no model: the API answers 503 until one passes its gates"]


def _served_of(settings: Settings, lender: str, now: datetime) -> list[str]:
    try:
        served = read_deployment(settings, lender)
    except LoanlakeError as error:
        return [f"{lender}: {error}"]
    if served is None:
        return []
    lines = [f"{served.model_name} version {served.model_version}, {_since(served, now)}", _kind(served, settings)]
    if served.challenger is not None:
        challenger = served.challenger.deployment
        lines.append(f"challenged by {served.challenger.name}, {_since(challenger, now)}")
        lines.append(_kind(challenger, settings))
    return lines


def _kind(deployment: Deployment, settings: Settings) -> str:
    """The model's family and guarantees, or why an API that starts now refuses the version; a running one continues."""
    try:
        bundle = load_registered(settings, deployment.source, deployment.model_version)
    except LoanlakeError as error:
        return f"an API that starts now does not take version {deployment.model_version}: {error}"
    return f"  {bundle.family.name}: {bundle.guarantees.text}"


def _since(deployment: Deployment, now: datetime) -> str:
    published = datetime.fromisoformat(deployment.published_at)
    return (
        f"features {deployment.feature_version}, since {published:%Y-%m-%d %H:%M} UTC "
        f"({_ago((now - published).total_seconds())}), by {deployment.published_by}"
    )


def _model_lines(settings: Settings) -> list[str]:
    states = {
        (each.version.name, each.version.version): each.state
        for lender in settings.recorded_lenders()
        for each in version_states(settings, lender)
    }
    rows: list[Sequence[str]] = [
        ("model", "version", "state", "family", "trained", "test", "AUC", "gini", "ks", "brier")
    ]
    for lineage_path in sorted(
        settings.bundles.glob("*/*/lineage.json"), key=lambda path: (path.parts[-3], int(path.parts[-2]))
    ):
        lineage = json.loads(lineage_path.read_text())
        metrics = json.loads((lineage_path.parent / "metrics.json").read_text())
        figures = candidate_on_test(metrics)
        shown = [f"{figures[name]:.4f}" for name in ("auc", "gini", "ks", "brier")]
        name, version = lineage_path.parts[-3], lineage_path.parts[-2]
        state = states.get((name, int(version)), "not recorded").replace("_", " ")
        family = lineage["settings"]["family"]
        rows.append((name, version, state, family, lineage["trained_at"][:16], measured_split(metrics), *shown))
    return [*_table(rows), *_waiting_versions(settings, states)] if len(rows) > 1 else ["none registered"]


def _waiting_versions(settings: Settings, states: Mapping[tuple[str, int], str]) -> list[str]:
    """Why each lender's newest candidate passed its gates but is not the champion."""
    lines = []
    for path in sorted(settings.candidates.glob("*/current")):
        candidate = current_candidate(settings, path.parent.name)
        found, registration = candidate.read_publication(), candidate.read_registration()
        state = registration and states.get((registration["model_name"], int(registration["model_version"])))
        if found is not None and _STATES_OF.get(found["word"]) == state:
            lines.append(found["text"])
    return lines


def _prediction_lines(con: duckdb.DuckDBPyConnection) -> list[str]:
    found = con.execute(
        "select source, route, count(*), max(decided_at) from serving.predictions group by all order by all"
    ).fetchall()
    lines = [f"{source} {route}: {n:,}, the latest decided {_day(latest)}" for source, route, n, latest in found]
    shadows = con.execute(
        "select source, model_version, count(*) from serving.shadow_predictions group by all order by all"
    ).fetchall()
    return lines + [f"{source} in shadow: {n:,} by version {version}" for source, version, n in shadows]


def _waiting_lines(settings: Settings) -> list[str]:
    states = BatchStates(settings)
    queued, n_running = states.queued(), states.count("running")
    batches = [f"{len(queued):,} batches wait for a run, {n_running:,} are being scored"] if queued or n_running else []
    postponed = [batch for batch in queued if batch.n_postponed]
    if postponed:
        batches.append(
            f"{len(postponed):,} of them were put back into the queue, the first since: {postponed[0].reason}"
        )
    return _outbox_lines(settings) + batches + _failed_batches(states)


def _failed_batches(states: BatchStates) -> list[str]:
    """The number of failed batches, and why the newest failed."""
    n_failed = states.count("failed")
    if not n_failed:
        return []
    [newest] = states.newest(1, state="failed")
    when = f"{newest.ended_at:%Y-%m-%d %H:%M} UTC" if newest.ended_at else "at no known time"
    many = f"{n_failed:,} batches failed, the newest" if n_failed > 1 else "1 batch failed,"
    return [f"{many} {newest.batch_id} {when}: {newest.reason}"]


def _outbox_lines(settings: Settings) -> list[str]:
    if settings.catalog is None and not settings.outbox.exists():
        return []
    try:
        pending = count_pending(settings)
        of_machines = [each.sentence for each in machines(settings)]
    except (sqlite3.Error, TeamError) as error:
        return [f"the decision log cannot be read: {error}"]
    published = [
        f"decisions of {each.source}: {each.messages:,} wait to be published"
        + (f"; {each.problem}" if each.problem else "")
        for each in known_lags(settings)
        if each.entity == DECISIONS_TO
    ]
    return [f"{pending:,} decisions and outcomes wait for ingestion into the lake", *published, *of_machines]


def _backup_lines(settings: Settings, now: datetime) -> list[str]:
    options, last = BackupOptions(**read(BackupOptions, os.environ)), last_backup(settings)
    restored = restored_from(settings)
    lines = []
    if unfinished_restore(settings):
        lines.append("a restore into this home was interrupted: repeat `loanlake restore` before anything else")
    if last is not None:
        age = (now - last.started_at).total_seconds()
        is_old = age > options.backup_max_age_hours * 3600
        lines.append(
            f"{last.backup_id} in {last.target}, {_ago(age)}"
            f"{f': older than {options.backup_max_age_hours:g} h, back up again' if is_old else ''}"
        )
    elif options.backup_target is not None:
        lines.append(f"none yet in {options.backup_target}: `loanlake backup` makes one")
    if restored is not None:
        lines.append(f"this home was restored from {restored.backup_id} on {restored.restored_at:%Y-%m-%d %H:%M} UTC")
    return lines or ["none: `loanlake backup TARGET` makes one"]


def _run_lines(settings: Settings, now: datetime) -> list[str]:
    """The newest runs from Dagster's storage, by SQLite, since importing Dagster takes 2 s."""
    found = _newest_runs(settings)
    lines = []
    for run_id, job, state, start, end in found:
        began = _ago(now.timestamp() - start) if start else ""
        took = f", {end - start:.0f} s" if start and end else ""
        word = state.lower().replace("_", " ")
        lines.append(f"{run_id[:8]}  {job:<18}{word:<13}{began}{took}")
    return lines


def _newest_runs(settings: Settings) -> list[Row]:
    newest = "select run_id, pipeline_name, status, start_time, end_time from runs order by id desc limit 5"
    if settings.catalog is not None:
        with server(settings, "status") as on_server:
            on_server.execute("set search_path = dagster")
            exists = on_server.execute("select to_regclass('runs') is not null").fetchone() == (True,)
            return on_server.execute(newest).fetchall() if exists else []
    runs = settings.dagster_home / "history" / "runs.db"
    if not runs.exists():
        return []
    with sqlite3.connect(f"{runs.as_uri()}?mode=ro", uri=True) as con:
        return con.execute(newest).fetchall()


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"
