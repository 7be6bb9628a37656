"""``loanlake doctor``, and what is done about a team's machines."""

import sys

import click

from warehouse.errors import NotFoundError
from warehouse.settings import Settings


@click.command()
def doctor() -> None:
    """Check each part of this home, and each server of a team.

    Prints for each whether it can be reached, its version, rights, clock and time to answer, and what to do. No
    password is printed. Exit code 0: nothing failed; there may be warnings. 1: something failed.
    """
    from warehouse.doctor.home import home_findings
    from warehouse.doctor.servers import server_findings

    settings = Settings.from_environment()
    has_failed = False
    for findings in (home_findings(settings), server_findings(settings)):
        for finding in findings:
            if finding is not None:
                has_failed = has_failed or finding.verdict == "failed"
                for line in finding.lines:
                    click.echo(line)
    if has_failed:
        sys.exit(1)


@click.command()
@click.argument("machine")
@click.option("--yes", is_flag=True, help="Do not ask before.")
def forget(*, machine: str, yes: bool) -> None:
    """Stop expecting a MACHINE of a team that will not come back.

    What its disk had not handed over is lost: `loanlake status` says how much it had when it last reported.
    """
    from warehouse.team.machines import forget as forget_machine

    if not yes:
        click.confirm(f"forget {machine}, and what its disk had not handed over?", abort=True)
    if not forget_machine(Settings.from_environment(), machine):
        raise NotFoundError(f"no machine {machine!r} ever reported: `loanlake status` shows their names")
