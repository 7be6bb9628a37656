"""``loanlake run``, ``up``, ``sign-in``, ``status`` and ``maintain``."""

import getpass
import signal
import sys
import tempfile
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
    "--publish",
    type=click.Choice(["auto", "never", "always"]),
    help="What to do with a model that passed its gates: auto decides by the rule below, never only registers it, "
    "always publishes it by your word.  [default: the lender's, LOANLAKE_PUBLISH, or auto]",
)
@click.option("--reason", default="", help="Why it is to be published; needed for --publish always, and kept.")
@click.option("--by", default=getpass.getuser, help="Your name, if not the user of this machine; it is kept.")
@click.option(
    "--take-over/--no-take-over",
    default=None,
    help="Whether it may be served in the place of another lender's model.  [default: yes where SOURCE is named]",
)
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

    A first model is published when its gates pass. Beside a champion, auto publishes a refresh (features and settings
    of the champion, newer labels) that is no worse, and a change only where it is better by a paired 95 % interval;
    other models are registered and wait, and a new version of the features begins as challenger in shadow.

    \b
    Examples:
      loanlake run
      loanlake run lending_club accepted_2007_to_2018Q4.csv.gz
      loanlake run lending_club --exclude annual_rate,lender_grade
      loanlake run lending_club --feature-version 1
      loanlake run lending_club --publish always --reason "Minutes of the committee, 2026-11"

    Exit code 0: the run came to its end; its answer says which model is served, and what waits. 1: a check or gate
    stopped the run, or it failed; the last line says which. 130: interrupted.
    """
    from orchestration.running.main_run import run_main_path

    if options["publish"] == "always" and not options["reason"].strip():
        raise click.UsageError("--publish always needs --reason, which is kept with your name")
    if options["take_over"] is None:
        options["take_over"] = source is not None  # a person who names a lender means it
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
        "publish": options["publish"] or "",
        "reason": options["reason"],
        "by": options["by"],
        "takes_over": options["take_over"],
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

    Each URL is printed when it answers, then a link by which one person signs in to the pages: `loanlake sign-in`
    prints others. The last line says that everything is ready. Logs go to the home's logs directory, one file each.
    Ends with exit code 1, and the last lines of its log, when one of them ends by itself.
    """
    from dagster import DagsterInstance

    from orchestration.doors import door_address
    from orchestration.running.instance import end_orphaned_runs, prepare_dagster_home
    from orchestration.services.processes import run_together, services

    settings = Settings.from_environment()
    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        for run_id in end_orphaned_runs(instance, of_daemon=True):
            click.echo(f"run {run_id} was left by a process that is gone: it is failed now")
    # not in the home: the name of a socket is short (108 bytes), and a home's may be long
    with tempfile.TemporaryDirectory(prefix="loanlake-") as sockets:
        wanted = services(
            settings,
            Path(sockets),
            dagster_port=dagster_port,
            api_port=api_port,
            mlflow_port=mlflow_port,
            reports_port=reports_port,
        )
        with door_address(settings, f"http://127.0.0.1:{dagster_port}"):
            run_together(wanted, settings, click.echo, when_pages_answer=lambda: _sign_in_line(settings))


@click.command("sign-in")
@click.option("--end-sessions", is_flag=True, help="End every session and unused link instead.")
def sign_in(end_sessions: bool) -> None:
    """Print a link that signs one person in to the pages of `loanlake up`, once, within 10 minutes.

    A session lasts 24 hours, for Dagster, MLflow and the reports alike. A signed-in person may do all that Dagster's
    pages allow, such as starting a run whose model is served.
    """
    from orchestration.doors import SignIn

    settings = Settings.from_environment()
    if end_sessions:
        click.echo(f"{SignIn(settings).end_all()} sessions ended; links that nobody has used are void")
    else:
        click.echo(_sign_in_line(settings))


def _sign_in_line(settings: Settings) -> str:
    from orchestration.doors import sign_in_url

    return f"{'sign in':<15}{sign_in_url(settings)}"


@click.command()
def status() -> None:
    """Show data, models, what is served, waiting decisions, runs and alerts of this home at a glance."""
    from orchestration.services.status import status_text

    click.echo(status_text(Settings.from_environment()))


@click.command()
@click.option("--retention-days", type=click.FloatRange(min=0), help="Instead of LOANLAKE_RETENTION_DAYS (30).")
@click.option(
    "--grace-hours", type=click.FloatRange(min=0), help="Instead of LOANLAKE_GRACE_HOURS (24); 0 while nobody reads."
)
def maintain(retention_days: float | None, grace_hours: float | None) -> None:
    """Merge the lake's small files, expire old snapshots, delete files that nobody reads any more, prune the API's log.

    A snapshot stays while it is younger than the retention, or while a model names it that is deployed, that a rollback
    would serve, that is its lender's champion, or that passed its gates and is not archived (`loanlake archive`).
    Readers go on.

    Decisions leave the API's log once the lake has them and they are older than LOANLAKE_DECISION_LOG_DAYS (30).
    """
    from orchestration.defs.maintenance.upkeep import maintain_home

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
