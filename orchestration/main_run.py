"""``loanlake run``: the main path with its progress, and a closing table of what it came to."""

import time
from collections.abc import Mapping
from typing import Any

import click

from orchestration.execution import execute
from orchestration.progress import Progress, elapsed
from orchestration.run_summary import summary_text
from warehouse.settings import Settings
from warehouse.sources import SOURCES

JOB = "default_risk"


def run_main_path(run_settings: Mapping[str, Any], settings: Settings) -> bool:
    """Execute the main job, printing one line a step and the closing table; returns whether it succeeded."""
    started, source = time.monotonic(), str(run_settings["source"])
    click.echo(f"loanlake run {source}: {settings.home}")
    progress = Progress(quiet_steps=frozenset(f"ingest_{name}" for name in (*SOURCES, "own_lenders") if name != source))
    execution = execute(JOB, run_settings, settings, progress)
    click.echo()
    click.echo(summary_text(settings, source))
    click.echo()
    if execution.succeeded:
        click.echo(f"done in {elapsed(started)}; log {execution.log}")
    else:
        click.echo(f"loanlake: stopped after {elapsed(started)} by {progress.reason}; log {execution.log}", err=True)
    return execution.succeeded
