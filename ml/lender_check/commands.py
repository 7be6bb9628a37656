"""``loanlake lender check``."""

import json
from dataclasses import asdict

import click

from warehouse.settings import Settings


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was found as JSON.")
def check(*, name: str, as_json: bool) -> None:
    """Say what would stop or spoil a model of NAME.

    Reads the tables of the last `dbt build`: rows set aside by reason, with lines; labels by month; the sizes of the
    splits; how well each feature alone tells defaults; gates that would refuse; terms that may be actual lives, or are
    missing; dates that move the clock of the labels too far ahead; and columns that look personal. Says which settings
    of the lender's file the last build did not have. Trains, builds and changes nothing.

    Exit code 1: something found would stop a model, or nothing of NAME is built yet.

    \b
        loanlake lender check mybank
        loanlake lender check mybank --json
    """
    from ml.judging.gate_limits import limits_of
    from ml.lender_check.evidence import gather
    from ml.lender_check.findings import findings
    from ml.lender_check.report import report
    from ml.lender_check.settings import require_settings
    from warehouse.lake.connection import connect
    from warehouse.lenders.rules import read_lender

    lender, settings = read_lender(name), Settings.from_environment()
    require_settings(lender, settings.dbt_target / "manifest.json")
    limits = limits_of(lender)
    with connect(settings) as con:
        evidence = gather(con, name, lender)
    found = findings(evidence, limits)
    if as_json:
        everything = {**asdict(evidence), "findings": [asdict(each) for each in found]}
        click.echo(json.dumps(everything, indent=2, default=str))
    else:
        click.echo(report(evidence, found))
    if any(each.level == "stops" for each in found):
        raise click.exceptions.Exit(1)
