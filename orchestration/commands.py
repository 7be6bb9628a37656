"""``loanlake run``, ``up``, ``status`` and ``maintain``."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from warehouse.errors import SettingError
from warehouse.settings import Settings
from warehouse.sources.simulated.simulation import Simulation


@click.command()
@click.argument("source", required=False)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--entity", help="Which raw table the FILES fill, where the source has several or is your own.")
@click.option("--exclude", metavar="FEATURE,…", default="", help="Features that the model must not use.")
@click.option(
    "--feature-version", metavar="N", default="", help="Version of the features to train on (default: the latest)."
)
@click.option(
    "--report", "report_months", multiple=True, metavar="YYYY-MM", help="Drift report for a month; repeatable."
)
@click.option("--retrain", is_flag=True, help="Train even where nothing has changed.")
@click.option(
    "--applications",
    type=click.IntRange(min=1),
    help=f"Size of the simulated lender (default {Simulation.applications:,}).",
)
@click.option(
    "--months", type=click.IntRange(min=1), help=f"Months of simulated decisions (default {Simulation.months})."
)
@click.option("--seed", type=int, help=f"Seed of the simulated lender (default {Simulation.seed}).")
def run(source: str | None, files: tuple[Path, ...], **options: Any) -> None:
    """Run the main path for SOURCE: load FILES, build and check features, train, judge, deploy, score, measure drift.

    SOURCE is simulated (the default), lending_club, uci_credit_card, or a lender of your own. Without FILES the tables
    are built from what was loaded before; the simulated lender writes its own. Running again changes nothing but what
    new data changes.

    \b
    Examples:
      loanlake run
      loanlake run lending_club accepted_2007_to_2018Q4.csv.gz
      loanlake run lending_club --exclude annual_rate,lender_grade
      loanlake run lending_club --feature-version 1

    Exit code 0: a model is served (a new one, or the one before where nothing changed). 1: a check or gate stopped the
    run, or it failed; the last line says which. 130: interrupted.
    """
    from orchestration.main_run import run_main_path

    settings, run_settings = Settings.from_environment(), _run_settings(source or "simulated", files, options)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        succeeded = run_main_path(run_settings, settings)
    except KeyboardInterrupt:
        click.echo("loanlake: interrupted; what was finished is kept, run again to go on", err=True)
        sys.exit(130)
    sys.exit(0 if succeeded else 1)


def _run_settings(source: str, files: tuple[Path, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    simulated = {name: options[name] for name in ("applications", "months", "seed") if options[name] is not None}
    if simulated and source != "simulated":
        raise SettingError(f"--applications, --months and --seed shape the simulated lender: found {source!r}")
    return {
        "source": source,
        "files": [str(file.resolve()) for file in files],
        "entity": options["entity"] or "",
        "feature_version": options["feature_version"],
        "exclude": [name.strip() for name in options["exclude"].split(",") if name.strip()],
        "report_months": list(options["report_months"]),
        "force_training": options["retrain"],
        "simulate": bool(simulated),
        **{f"simulated_{name}": value for name, value in simulated.items()},
    }


@click.command()
@click.option("--dagster-port", envvar="LOANLAKE_DAGSTER_PORT", default=3000, show_default=True, show_envvar=True)
@click.option("--api-port", envvar="LOANLAKE_API_PORT", default=8000, show_default=True, show_envvar=True)
@click.option("--mlflow-port", envvar="LOANLAKE_MLFLOW_PORT", default=5000, show_default=True, show_envvar=True)
@click.option("--reports-port", envvar="LOANLAKE_REPORTS_PORT", default=8050, show_default=True, show_envvar=True)
def up(dagster_port: int, api_port: int, mlflow_port: int, reports_port: int) -> None:
    """Start the API, the Dagster UI and daemon, the MLflow UI and the drift reports together; Ctrl-C stops all.

    Each URL is printed when it answers. Logs go to the home's logs directory, one file each. Ends with exit code 1, and
    the last lines of its log, when one of them ends by itself.
    """
    from dagster import DagsterInstance

    from orchestration.instance import end_orphaned_runs, prepare_dagster_home
    from orchestration.services import run_together, services

    settings = Settings.from_environment()
    prepare_dagster_home(settings)
    wanted = services(
        settings, dagster_port=dagster_port, api_port=api_port, mlflow_port=mlflow_port, reports_port=reports_port
    )
    with DagsterInstance.get() as instance:
        for run_id in end_orphaned_runs(instance, of_daemon=True):
            click.echo(f"run {run_id} was left by a process that is gone: it is failed now")
    run_together(wanted, settings, click.echo)


@click.command()
def status() -> None:
    """Show data, models, what is served, waiting decisions, runs and alerts of this home at a glance."""
    from orchestration.status import status_text

    click.echo(status_text(Settings.from_environment()))


@click.command()
@click.option("--retention-days", type=click.FloatRange(min=0), help="Instead of LOANLAKE_RETENTION_DAYS (30).")
@click.option(
    "--grace-hours", type=click.FloatRange(min=0), help="Instead of LOANLAKE_GRACE_HOURS (24); 0 while nobody reads."
)
def maintain(retention_days: float | None, grace_hours: float | None) -> None:
    """Merge the lake's small files, expire old snapshots, delete files that nobody reads any more, prune the API's log.

    A snapshot stays while it is younger than the retention, or while a model names it that is deployed, that a rollback
    would serve, that has an alias, or that passed its gates and is not archived (`loanlake archive`). Readers go on.

    Decisions leave the API's log once the lake has them and they are older than LOANLAKE_DECISION_LOG_DAYS (30).
    """
    from orchestration.maintenance import maintain_home

    upkeep = maintain_home(Settings.from_environment(), retention_days=retention_days, grace_hours=grace_hours)
    done, log = upkeep.lake, upkeep.log
    click.echo(f"files: {done.n_files_merged:,} merged, {done.n_files_rewritten:,} rewritten without deleted rows")
    click.echo(f"snapshots: {done.n_snapshots_expired:,} expired, {done.n_snapshots:,} left")
    for snapshot, why in upkeep.kept.items():
        click.echo(f"  {snapshot} is kept for {why}")
    click.echo(f"deleted: {done.n_files_deleted:,} files, and {done.n_orphans_deleted:,} that no snapshot knew")
    click.echo(f"decision log: {log.n_entries:,} entries pruned, {log.n_bytes / 1e6:,.1f} MB given back")
    if log.n_missing:
        click.echo(f"  {log.n_missing:,} entries that the lake had taken in are not in it: they go there again")
    click.echo(f"the lake took {done.seconds:.1f} s")
    for name, what in upkeep.dev_lakes.items():
        click.echo(f"dev lake of {name}: {what}")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
