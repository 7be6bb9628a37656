"""``loanlake run``, ``up``, ``sign-in``, ``status`` and ``data maintain``."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from warehouse.cli import options
from warehouse.errors import SettingError
from warehouse.settings import Ports, Settings, read


@click.command()
@click.argument("source", required=False)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.entity
@options.exclude
@options.family
@options.feature_version
@click.option(
    "--report", "report_months", multiple=True, metavar="YYYY-MM", help="Draw the drift report of a month; repeatable."
)
@click.option("--retrain", "force_training", is_flag=True, help="Train even if nothing has changed.")
@click.option(
    "--publish",
    type=click.Choice(["auto", "never", "always"]),
    help="What to do with a model that passed its gates: auto follows the rule above, never only registers it, always "
    "publishes it on your word.  [default: the lender's file, LOANLAKE_PUBLISH, or auto]",
)
@click.option("--reason", default="", help="Why it is published; --publish always needs it, and it is recorded.")
@options.by
@options.simulation
def run(source: str | None, files: tuple[Path, ...], **given: Any) -> None:
    """Run the main path: load, build, train, judge, publish, measure.

    SOURCE is simulated, lending_club, uci_credit_card, or a lender of your own. Without it, the run is for
    LOANLAKE_DEFAULT_LENDER, else for the only lender with files in this home, else for simulated; its first line says
    which, and why. Without FILES the tables are built from what was loaded before and from the inbox; the simulated
    lender writes its own files if there are none. A second run changes only what new data changes.

    The family auto trains boosted trees and a logistic regression, and takes the one with the lower log loss on tune
    rows.

    A first model is published when its gates pass. Beside a champion, auto publishes a refresh (same features and
    settings, newer labels) that is no worse, and a change only if it is better by a paired 95 % interval. Other models
    are registered and wait; a new version of the features starts as challenger in shadow.

    \b
        loanlake run
        loanlake run lending_club accepted_2007_to_2018Q4.csv.gz
        loanlake run lending_club --exclude annual_rate,lender_grade
        loanlake run lending_club --feature-version 1
        loanlake run lending_club --family logistic
        loanlake run lending_club --publish always --reason "Minutes of the committee, 2026-11"

    Exit code 0: the run has ended; its answer names the model that is served and what waits. 1: a check or gate stopped
    the run, or it failed; the last line says which. 130: interrupted.
    """
    from orchestration.running.process import RunProcess

    if given["publish"] == "always" and not given["reason"].strip():
        raise click.UsageError("--publish always needs --reason, which is recorded with your name")
    settings = Settings.from_environment()
    is_simulated = any(given[name] is not None for name in ("applications", "months", "seed"))
    signal.signal(signal.SIGTERM, _interrupt)
    # both import Dagster: beside each other
    with RunProcess() as process:
        from orchestration.running.main_run import run_main_path, unnamed_source

        if source is None and not is_simulated:
            source, why = unnamed_source(settings)
            click.echo(f"no SOURCE is given: the run is for {source}, since {why}")
        source = source or "simulated"
        run_settings = _run_settings(source, files, given)
        try:
            succeeded = run_main_path(source, run_settings, settings, process)
        except KeyboardInterrupt:
            click.echo("loanlake: interrupted; finished steps are kept, run again to continue", err=True)
            sys.exit(130)
    sys.exit(0 if succeeded else 1)


def _run_settings(source: str, files: tuple[Path, ...], given: dict[str, Any]) -> dict[str, Any]:
    simulated = {name: given.pop(name) for name in ("applications", "months", "seed")}
    simulated = {f"simulated_{name}": value for name, value in simulated.items() if value is not None}
    if simulated and source != "simulated":
        raise SettingError(f"--applications, --months and --seed shape the simulated lender: found {source!r}")
    return {
        **{name: "" if value is None else value for name, value in given.items()},
        **{name: list(given[name]) for name in ("exclude", "report_months")},
        "files": [str(file.resolve()) for file in files],
        "simulate": bool(simulated),
        **simulated,
    }


def _port(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    port: int = getattr(Ports, name)
    help_text = f"[default: LOANLAKE_{name.upper()}_PORT, or {port}]"
    return click.option(f"--{name}-port", type=click.IntRange(1, 65535), help=help_text)


@click.command()
@_port("dagster")
@_port("api")
@_port("mlflow")
@_port("reports")
def up(**given: int | None) -> None:
    """Start the API, Dagster, MLflow and the drift reports together.

    Ctrl-C stops all of them. Each URL is printed when it answers, then a link by which one person signs in to the
    pages: `loanlake sign-in` prints others. The last line says that everything is ready. Logs are in the home's logs
    directory, one file a service. Exit code 1, with the last lines of its log: a service ended by itself.
    """
    from orchestration.doors import door_address
    from orchestration.running.instance import no_run_left_behind, prepare_dagster_home
    from orchestration.services.processes import run_together, services

    settings, environment = Settings.from_environment(), read(Ports, os.environ)
    ports = Ports(**{**environment, **{name[:-5]: port for name, port in given.items() if port is not None}})
    prepare_dagster_home(settings)
    # outside the home, whose path may be too long for a socket's name (108 bytes)
    with no_run_left_behind(click.echo), tempfile.TemporaryDirectory(prefix="loanlake-") as sockets:
        wanted = services(settings, Path(sockets), ports)
        with door_address(settings, f"http://127.0.0.1:{ports.dagster}"):
            run_together(wanted, settings, click.echo, when_pages_answer=lambda: _sign_in_line(settings))


@click.command("sign-in")
@click.option("--end-sessions", is_flag=True, help="End every session and every unused link instead.")
def sign_in(end_sessions: bool) -> None:
    """Print a link that signs one person in to the pages.

    The link works once, within 10 minutes, while `loanlake up` runs. A session lasts 24 hours, for Dagster, MLflow and
    the reports. A person who is signed in may do all that Dagster's pages allow, such as a run that publishes a model.
    """
    from orchestration.doors import SignIn

    settings = Settings.from_environment()
    if end_sessions:
        click.echo(f"{SignIn(settings).end_all()} sessions ended; unused links are no longer valid")
    else:
        click.echo(_sign_in_line(settings))


def _sign_in_line(settings: Settings) -> str:
    from orchestration.doors import sign_in_url

    return f"{'sign in':<15}{sign_in_url(settings)}"


@click.command()
def status() -> None:
    """Show data, models, deployment, runs and alerts of this home."""
    from orchestration.services.status import status_text

    click.echo(status_text(Settings.from_environment()))


@click.command()
@click.option("--retention-days", type=options.Number(min=0), help="Replaces LOANLAKE_RETENTION_DAYS.")
@click.option(
    "--grace-hours", type=options.Number(min=0), help="Replaces LOANLAKE_GRACE_HOURS; 0 only while no process reads."
)
def maintain(retention_days: float | None, grace_hours: float | None) -> None:
    """Merge small files, expire old snapshots, prune the API's log.

    A snapshot stays while it is younger than the retention, or while a model names it that is deployed, that a rollback
    would serve, that is its lender's champion, or that passed its gates and is not archived (`loanlake model archive`).
    Readers go on. Files that no snapshot needs are deleted after the grace time.

    Decisions leave the API's log when the lake has them and they are older than LOANLAKE_DECISION_LOG_DAYS.
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
        click.echo(f"  {log.n_missing:,} entries are missing in the lake: they are sent there again")
    click.echo(f"the lake took {done.seconds:.1f} s")
    for name, what in upkeep.dev_lakes.items():
        click.echo(f"dev lake of {name}: {what}")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
