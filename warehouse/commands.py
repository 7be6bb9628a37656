"""``loanlake ingest`` and ``loanlake sql``. DuckDB is imported when one of them runs, not with this module."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.settings import Settings
from warehouse.sources import SOURCES, ingest_files, ingest_simulated

if TYPE_CHECKING:
    from warehouse.sources.ingest import IngestResult


@click.command()
@click.argument("source")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--entity", help="The kind of file, for instance loans; needed for a lender of your own.")
@click.option("--applications", type=click.IntRange(1), default=20_000, show_default=True, help="Simulated: how many.")
@click.option("--months", type=click.IntRange(1), default=48, show_default=True, help="Simulated: how long, to 2025-12.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Simulated: which lender.")
def ingest(source: str, files: tuple[Path, ...], entity: str | None, applications: int, months: int, seed: int) -> None:
    """Load FILES of SOURCE into the lake's raw tables, as text, each row with its file and line.

    A file is loaded whole or not at all; lines that are no rows go to raw.rejected_lines. A file loaded before changes
    nothing. SOURCE is simulated (which needs no files), lending_club, uci_credit_card, or a name for a lender of your
    own (see docs/bring-your-own-lender.md).

    \b
        loanlake ingest lending_club accepted_2007_to_2011.csv.gz
        loanlake ingest simulated --applications 100000
        loanlake ingest mybank loans.csv --entity loans
    """
    settings = Settings.from_environment()
    if source == "simulated" and not files:
        ingest_simulated(settings, applications=applications, months=months, seed=seed, report=_print_result)
        return
    if not files:
        known = "" if source in SOURCES else f" ({source} is none of the known sources {', '.join(SOURCES)})"
        raise click.UsageError(f"name at least one file of {source}{known}")
    ingest_files(source, files, settings, entity, _print_result)


def _print_result(result: "IngestResult") -> None:
    rows = f"{result.n_rows:,} rows"
    if result.n_rejected:
        rows += f", {result.n_rejected:,} lines rejected (see raw.rejected_lines)"
    done = "already loaded" if result.status == "already_loaded" else "loaded"
    click.echo(f"{result.source} {result.entity}: {result.file}: {done}, {rows}, {result.seconds:.1f} s")
    if result.ignored_columns:
        click.echo(f"  ignored columns that {result.source} does not know: {', '.join(result.ignored_columns)}", err=True)
