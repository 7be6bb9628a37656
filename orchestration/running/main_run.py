"""``loanlake run``: the main path with its progress, and a closing table of results."""

import difflib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ml.lender_check.settings import require_settings
from orchestration.dbt_process import have_dbt_ready
from orchestration.defs.ingestion.inbox import look
from orchestration.defs.pipeline.loaded_sources import loaded_sources
from orchestration.lib.dbt_project import is_parsed, prepared_manifest, project_fingerprint
from orchestration.lib.feature_versions import require_versions
from orchestration.lib.progress import Progress, elapsed
from orchestration.running.execution import execute
from orchestration.running.process import RunProcess
from orchestration.running.summary import summary_text
from warehouse.errors import RunRefused
from warehouse.lenders.rules import broken_lenders, lenders_of_project, read_lender
from warehouse.raw import SOURCES
from warehouse.settings import DBT_PROJECT_DIR, Settings
from warehouse.sources.target import target_of

JOB = "default_risk"


def run_main_path(source: str, run_settings: Mapping[str, Any], settings: Settings, process: RunProcess) -> bool:
    """Execute the main job for a lender in ``process``; print a line per step and the closing table.

    Returns whether it succeeded.

    Before any build, raises SourceFileError if files have no raw table, and RunRefused if the source has no file in the
    lake and none to load, no dbt model reads its files, or the project lacks a needed feature version; and
    SettingError if the lender's file sets what no gate, feature or request can take.
    """
    started = time.monotonic()
    _require_files(source, run_settings["files"], settings)
    _require_models(source)
    if not is_parsed(settings, project_fingerprint(DBT_PROJECT_DIR)):
        have_dbt_ready()  # for the parse, and the builds that follow it
    if run_settings["files"]:
        target_of(source, str(run_settings["entity"]) or None)
    require_versions(settings, source, str(run_settings.get("feature_version", "")))
    require_settings(read_lender(source), prepared_manifest(settings), family=str(run_settings.get("family", "")))
    for lender, message in broken_lenders().items():
        click.echo(f"loanlake: the lender {lender} is not built, and stays as it was last built: {message}", err=True)
    click.echo(f"loanlake run {source}: {settings.home}")
    progress = Progress(quiet_steps=frozenset(f"ingest_{name}" for name in lenders_of_project() if name != source))
    execution = execute(JOB, source, run_settings, settings, process=process, on_event=progress)
    click.echo()
    has_trained = execution.succeeded or "candidate" in progress.finished
    click.echo(summary_text(settings, source, has_trained=has_trained))
    click.echo()
    if execution.succeeded:
        click.echo(f"done in {elapsed(started)}; log {execution.log}")
    else:
        click.echo(f"loanlake: stopped after {elapsed(started)} by {progress.reason}; log {execution.log}", err=True)
    return execution.succeeded


def unnamed_source(settings: Settings) -> tuple[str, str]:
    """The source of a run that names none, and why it is this one.

    The default lender; else the only lender with files, loaded or waiting in the inbox; else the simulated one.
    """
    if settings.default_lender:
        return settings.default_lender, "LOANLAKE_DEFAULT_LENDER names it"
    inbox = look(settings)
    with_files = sorted(loaded_sources(settings) | {file.source for file in (*inbox.waiting, *inbox.unsettled)})
    if len(with_files) == 1:
        return with_files[0], "it is the only lender with files in this home"
    if not with_files:
        return "simulated", "no lender has files in this home"
    return "simulated", f"several lenders have files in this home, {', '.join(with_files)}: name the one you mean"


def _require_files(source: str, files: Sequence[str], settings: Settings) -> None:
    waiting = look(settings, source)
    # the simulated lender writes its own
    if source == "simulated" or files or waiting.waiting or waiting.unsettled:
        return
    loaded = loaded_sources(settings)
    if source not in loaded:
        near = difflib.get_close_matches(source, {*SOURCES, *loaded}, n=1)
        raise RunRefused(
            f"no file of {source!r} was loaded yet, so there is nothing to build from: "
            f"`loanlake run {source} FILE…`" + (f"; did you mean {near[0]}?" if near and near[0] != source else "")
        )


def _require_models(source: str) -> None:
    lenders = lenders_of_project()
    if source not in lenders:
        near = difflib.get_close_matches(source, lenders, n=1)
        raise RunRefused(
            f"a source must be one whose files the dbt project reads, one of {', '.join(sorted(lenders))}: found "
            f"{source!r}; "
            + (f"did you mean {near[0]}?" if near else "docs/bring-your-own-lender.md says how to add a lender")
        )
