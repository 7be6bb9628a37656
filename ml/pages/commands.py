"""``loanlake report``."""

from datetime import date, datetime
from pathlib import Path

import click

from warehouse.settings import Settings


def _month(_ctx: click.Context, _param: click.Parameter, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        raise click.BadParameter(f"must be a month as YYYY-MM: found {text!r}") from None


@click.command()
@click.option("--month", metavar="YYYY-MM", callback=_month, help="Month of the report.  [default: the newest]")
@click.option("--source", help="Lender.  [default: LOANLAKE_DEFAULT_LENDER, else the only one served]")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: report-SOURCE-YYYY-MM.html]",
)
def report(*, month: date | None, source: str | None, out: Path | None) -> None:
    """Write the monthly report for a committee.

    One HTML file with what the pages /models, /monitoring and /portfolio show, and the month's alerts. It needs no
    network, runs no script, and prints. Later months are left out; the month and those before are as known now. It can
    name applications, in messages of alerts: keep it as you keep the decisions.

    \b
        loanlake report --month 2026-11
        loanlake report --month 2026-11 --source mybank --out minutes/2026-11.html
    """
    from ml.pages.report import write_report
    from warehouse.files.replacing import replace_file

    settings = Settings.from_environment()
    written = write_report(settings, settings.chosen_lender(source), month)
    path = out or Path(f"report-{written.source}-{written.month}.html")
    replace_file(path, written.html)
    click.echo(f"written to {path}")
