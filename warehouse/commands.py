"""Commands about settings, raw tables, queries and the dbt project; DuckDB is imported when one of them runs."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import options
from warehouse.errors import SettingError
from warehouse.lenders.rules import read_lender
from warehouse.raw import SOURCES
from warehouse.settings import DBT_PROJECT_DIR, IS_CLONE, Settings
from warehouse.sources import ingest_files, ingest_simulated

if TYPE_CHECKING:
    from warehouse.sources.ingest import IngestResult
    from warehouse.sources.pulling.pull import PullResult
    from warehouse.sql.query import Format

_AFTER_LOADING = (
    "lines were split into columns, and values are not read yet: after the next build (`loanlake run`, or `dbt build`) "
    "`loanlake status` says how many rows were set aside"
)


@click.command()
@click.argument("source")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@options.entity
@options.simulation
def ingest(*, source: str, files: tuple[Path, ...], entity: str | None, **simulation: int | None) -> None:
    """Load FILES of SOURCE into the lake's raw tables.

    FILES are CSV, JSON lines, Excel workbooks or Parquet (see docs/files.md). Values are loaded as text, each row with
    its file and line. A file is loaded whole or not at all; lines that are not rows go to raw.rejected_lines. A file
    that was loaded before changes nothing. SOURCE is simulated (which needs no files), lending_club, uci_credit_card,
    or a name for a lender of your own (see docs/bring-your-own-lender.md).

    Exit code 1: a file cannot be loaded, or more of its lines are not rows than its lender allows (20 %;
    set_aside.max_share in the lender's file).

    \b
        loanlake ingest lending_club accepted_2007_to_2011.csv.gz
        loanlake ingest simulated --applications 100000
        loanlake ingest mybank loans.csv --entity loans
    """
    settings = Settings.from_environment()
    parameters = {name: value for name, value in simulation.items() if value is not None}
    if source == "simulated" and not files:
        ingest_simulated(settings, **parameters, report=_print_result)
        click.echo(_AFTER_LOADING)
        return
    if parameters:
        raise click.UsageError(f"--{', --'.join(parameters)} can only be given to the simulated lender, without files")
    if not files:
        known = "" if source in SOURCES else f" ({source} is none of the known sources {', '.join(SOURCES)})"
        raise click.UsageError(f"name at least one file of {source}{known}")
    loaded = ingest_files(source, files, settings, entity, _print_result)
    click.echo(_AFTER_LOADING)
    most = read_lender(source).set_aside.max_share
    too_many = [result for result in loaded if result.status == "loaded" and result.lost_share > most]
    if too_many:
        click.echo(
            f"loanlake: more than {100 * most:g} % of the lines of {', '.join(result.file for result in too_many)} are "
            "not rows: is a separator or a quote wrong? The other rows are loaded",
            err=True,
        )
        sys.exit(1)


@click.command()
@click.argument("source")
@click.option("--entity", help="Pull this entity alone.")
def pull(*, source: str, entity: str | None) -> None:
    """Pull new and changed rows of SOURCE from databases and APIs.

    The lender's file declares them under `connections` and `pulls` (see docs/connections.md). Rows become a landing
    file, which is loaded as any other file is; the lake keeps how far each pull came, in raw.files. Needs the extra
    `loanlake[dlt]`.

    Exit code 1: a pull failed, and nothing of it was loaded; the others were.

    \b
        loanlake pull mybank
        loanlake pull mybank --entity loans
    """
    from warehouse.sources.pulling.pull import pull as pull_declared

    pull_declared(source, Settings.from_environment(), entity, _print_pull)
    click.echo(_AFTER_LOADING)


@click.command()
@click.argument("table", required=False)
@click.option("--check", is_flag=True, help="Only show which tables are damaged, and how.")
def reload(*, table: str | None, check: bool) -> None:
    """Reload raw tables from landing files, if data is damaged.

    Every raw table is read first, and each that cannot be read is replaced; or TABLE alone, damaged or not. Landing
    files are checked against the checksums in raw.files. Build the tables that are made of them afterwards:
    docs/runbook.md says how.

    \b
        loanlake data reload --check
        loanlake data reload
        loanlake data reload raw.lending_club_loans
    """
    from warehouse.sources.reloading import damaged_raw_tables, reload_table

    settings = Settings.from_environment()
    if table is not None and check:
        raise click.UsageError("--check looks at all raw tables: leave TABLE out")
    tables = [table] if table is not None else damaged_raw_tables(settings, click.echo)
    if not tables:
        click.echo("every raw table can be read whole")
    for name in [] if check else tables:
        done = reload_table(settings, name)
        click.echo(f"{name}: {done.n_rows:,} rows loaded again from {done.n_files:,} landing files")
        if done.n_rows != done.n_rows_before:
            click.echo(
                f"  when they were first loaded they had {done.n_rows_before:,}: erased people's lines are blank"
            )
    if check and tables:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def sql(*, query: str | None, form: "Format") -> None:
    """Query the lake, read-only; without QUERY, open a shell.

    Others may write meanwhile. Statements may also be piped in. Errors are one message and exit code 1. The tables of
    your own lake, which `dbt build` makes in warehouse/, are named dev.schema.table.

    \b
        loanlake sql "select source, count(*) from core.int_applications group by all"
        loanlake sql --format csv "from serving.predictions" > predictions.csv
        loanlake sql "from dev.features.ftr_application_v2 limit 10"
        loanlake sql ".schema core.int_applications"
    """
    from warehouse.lake import connection as lake
    from warehouse.lake.dev_lakes import dev_lakes, of_dev_lake
    from warehouse.sql.shell import run_script, run_shell, run_statements

    settings = Settings.from_environment()
    with lake.connect(settings) as con:
        if settings.dev_name in dev_lakes(settings):
            lake.attach(con, of_dev_lake(settings, settings.dev_name), read_only=True, name=lake.DEV)
        if query is not None:
            run_statements(con, query, sys.stdout, form=form)
        elif sys.stdin.isatty():
            run_shell(con, form=form, history=settings.sql_history)
        else:
            run_script(con, sys.stdin, sys.stdout, form=form)


def _print_result(result: "IngestResult") -> None:
    rows = f"{result.n_rows:,} rows"
    if result.n_rejected:
        rows += f", {result.n_rejected:,} line{'s' if result.n_rejected > 1 else ''} rejected (see raw.rejected_lines)"
    if result.reasons:
        rows += f": {'; '.join(result.reasons)}"
    done = "already loaded" if result.status == "already_loaded" else "loaded"
    click.echo(f"{result.source} {result.entity}: {result.file}: {done}, {rows}, {result.seconds:.1f} s")
    if result.read_as:
        click.echo(f"  read as: {result.read_as}")
    for notice in result.notices:
        click.echo(f"  notice: {notice}", err=True)
    if result.new_columns:
        click.echo(f"  new columns, missing in the rows before: {', '.join(result.new_columns)}", err=True)
    if result.ignored_columns:
        click.echo(f"  columns that are not loaded: {', '.join(result.ignored_columns)}", err=True)


def _print_pull(result: "PullResult") -> None:
    until = f", up to {result.cursor_to}" if result.cursor_to else ""
    click.echo(
        f"{result.source} {result.entity}: {result.n_read:,} rows read from {result.pulled_from}{until}, "
        f"{result.n_loaded:,} new or changed, {result.seconds:.1f} s"
    )
    for notice in result.notices:
        click.echo(f"  notice: {notice}", err=True)
    for loaded in result.loaded:
        _print_result(loaded)


@click.command()
def new_feature_version() -> None:
    """Create the next version of the features.

    Writes its SQL, its training rows and its lines in the YAML of the dbt project; two edits by hand then add a
    feature. Closes the version before, which models may have been trained on. Needs a clone of the repository.
    """
    from warehouse.features.new_version import FEATURES_YAML, create_version, macro_file

    if not IS_CLONE:
        raise SettingError(
            f"a version of the features is an edit of the dbt project: run this in a clone of the repository; found an "
            f"installed package in {DBT_PROJECT_DIR}"
        )
    version = create_version(DBT_PROJECT_DIR)
    click.echo(
        f"version {version} of the features is created; for each feature add\n"
        f"  a line to    {DBT_PROJECT_DIR / macro_file(version)}\n"
        f"  an entry to  {DBT_PROJECT_DIR / FEATURES_YAML}, at the end of its columns, with "
        f"`since: {version}` in its meta\n"
        "then `make lint-sql`, which says what is missing, and `loanlake run`"
    )


@click.command()
def list_dev_lakes() -> None:
    """Show whose lakes exist."""
    from warehouse.lake.dev_lakes import dev_lakes

    settings = Settings.from_environment()
    names = dev_lakes(settings)
    for name in names:
        click.echo(f"{name}{' (yours)' if name == settings.dev_name else ''}")
    if not names:
        click.echo("no analyst has a lake: `dbt build` in warehouse/ builds one")


@click.command()
@click.argument("name", required=False)
def drop_lake(*, name: str | None) -> None:
    """Delete your lake, or the lake of NAME, with its files.

    `dbt build` builds it again.
    """
    from warehouse.lake.dev_lakes import drop_dev_lake

    settings = Settings.from_environment()
    drop_dev_lake(settings, name or settings.dev_name)
    click.echo(f"the dev lake of {name or settings.dev_name} is dropped")


@click.command()
@click.option("--changed", is_flag=True, help="Only those that the environment sets.")
def settings(*, changed: bool) -> None:
    """Show every setting, its value and where that came from.

    Secrets are masked. docs/settings.md explains each setting. Exit code 1: the environment has a LOANLAKE_ variable
    that is not a setting; the message names the nearest one.
    """
    from warehouse.settings.registry import effective, misspelt

    found = [each for each in effective(os.environ) if each.origin == "environment" or not changed]
    rows = [(each.variable.name, each.variable.shown(each.value), each.variable.unit, each.origin) for each in found]
    width = max((len(name) for name, *_ in rows), default=0)
    for name, value, unit, origin in rows:
        click.echo(f"{name:<{width}}  {f'{value} {unit}'.strip()}  ({origin})")
    if wrong := misspelt(os.environ):
        raise SettingError("; ".join(wrong))
