"""Dagster's daemon, in a team on one machine at a time: ``python -m orchestration.services.only_daemon``."""

import os
import sys
from pathlib import Path

import click

from orchestration.services.daemon_turn import DaemonTurn
from warehouse.settings import Settings

_MODULE = "orchestration.services.only_daemon"  # also where it is the program, and so has another name


def main(options: list[str]) -> None:
    """Run the daemon with its own options; in a team once no other machine does."""
    settings = Settings.from_environment()
    turn = DaemonTurn(settings, say=click.echo)
    if settings.catalog is not None:
        turn.take()
        from orchestration.services.lost_machines import LostMachines  # imports Dagster

        LostMachines(settings, say=click.echo).watch()
    from dagster._daemon.cli import cli

    try:
        cli(["run", *options])
    except SystemExit:
        if turn.is_lost:  # to wait again, as a new process: `loanlake up` ends when a service does
            os.execv(sys.executable, [sys.executable, "-m", _MODULE, *options])  # noqa: S606  # this program again
        raise


def command() -> list[str]:
    """The command that runs it for the packaged workspace."""
    return [sys.executable, "-m", _MODULE, "-w", str(Path(__file__).parents[1] / "workspace.yaml")]


if __name__ == "__main__":
    main(sys.argv[1:])
