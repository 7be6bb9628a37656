"""``loanlake ingest`` and ``loanlake sql``. DuckDB is imported when one of them runs, not with this module."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.raw import SOURCES
from warehouse.settings import Settings
from warehouse.sources import ingest_files, ingest_simulated
from warehouse.sources.rows_set_aside import max_set_aside_share
from warehouse.sources.simulated.simulation import Simulation

if TYPE_CHECKING:
    from warehouse.sources.ingest import IngestResult
    from warehouse.sql.query import Format

_AFTER_LOADING = (
    "lines were split into columns, and values are not read yet: after the next build (`loanlake run`, or `dbt build`) "
    "`loanlake status` says how many rows were set aside"
)


@click.command()
@click.argument("source")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--entity", help="The kind of file, for instance loans; needed for a lender of your own.")
@click.option(
    "--applications",
    type=click.IntRange(1),
    help=f"Simulated lender: how many; {Simulation.applications:,} unless given.",
)
@click.option(
    "--months",
    type=click.IntRange(1),
    help=f"Simulated lender: over how many, to 2025-12; {Simulation.months} unless given.",
)
@click.option("--seed", type=click.IntRange(0), help=f"Simulated lender: which one; {Simulation.seed} unless given.")
def ingest(*, source: str, files: tuple[Path, ...], entity: str | None, **simulation: int | None) -> None:
    """Load FILES of SOURCE into the lake's raw tables, as text, each row with its file and line.

    A file is loaded whole or not at all; lines that are no rows go to raw.rejected_lines. A file loaded before changes
    nothing. SOURCE is simulated (which needs no files), lending_club, uci_credit_card, or a name for a lender of your
    own (see docs/bring-your-own-lender.md).

    Exit code 1: a file cannot be loaded, or more of its lines are no rows than max_set_aside_share allows (20 %).

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
    most = max_set_aside_share(source)
    too_many = [result for result in loaded if result.lost_share > most]
    if too_many:
        click.echo(
            f"loanlake: more than {100 * most:g} % of the lines of {', '.join(result.file for result in too_many)} are "
            "not rows: is a separator or a quote wrong? The other rows are loaded",
            err=True,
        )
        sys.exit(1)


@click.command()
@click.argument("table", required=False)
@click.option("--check", is_flag=True, help="Only say which tables are damaged, and how.")
def reload(*, table: str | None, check: bool) -> None:
    """Load raw rows again from their landing files, where a data file of the lake is lost or damaged.

    Every raw table is read whole first; those that cannot be are replaced, or TABLE alone, read or not. Landing files
    are held against the checksums of raw.files. Build the tables made of them afterwards: docs/runbook.md says how.

    \b
        loanlake reload --check
        loanlake reload
        loanlake reload raw.lending_club_loans
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
    """Run QUERY on the lake, read-only, while anything else may write to it; without QUERY, a shell.

    Statements may also be piped in. Errors are one message and exit code 1. The tables of your own lake, which
    `dbt build` makes in warehouse/, are named dev.schema.table.

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
    if result.ignored_columns:
        click.echo(
            f"  ignored columns that {result.source} does not know: {', '.join(result.ignored_columns)}", err=True
        )


@click.group()
def feature() -> None:
    """Versions of the features."""


@feature.command("new")
def new_feature_version() -> None:
    """Create the next version of the features: two edits by hand then add a feature to it.

    Writes its SQL, its training rows and its lines in the YAML of the dbt project, and closes the version before, which
    models may have been trained on.
    """
    from warehouse.features.new_version import create_version
    from warehouse.settings import DBT_PROJECT_DIR

    created = create_version(DBT_PROJECT_DIR)
    click.echo(
        f"version {created.version} of the features is created; for each feature add\n"
        f"  a line to    {created.sql}\n"
        f"  an entry to  {created.contract}, at the end of its columns, with `since: {created.version}` in its meta\n"
        "then `make lint-sql`, which says what is missing, and `loanlake run`"
    )
