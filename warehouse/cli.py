"""The ``loanlake`` command: a group whose subcommands each package contributes by entry point.

A package lists its commands in ``pyproject.toml`` under ``loanlake.commands``; nothing of it is imported until its
command is asked for, so ``loanlake --help`` answers at once.
"""

import sys
from importlib.metadata import EntryPoint, entry_points

import click

from warehouse.failures import explained
from warehouse.files.private_files import keep_private
from warehouse.settings import Settings

#: Its log is JSON from the first line, so it closes the home by itself once it has a log.
_CLOSES_HOME_ITSELF = "serve"


class _Commands(click.Group):
    """Finds subcommands among the installed entry points, in alphabetical order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_found())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _found().get(cmd_name)
        return entry.load() if entry else None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loanlake")
@click.pass_context
def loanlake(ctx: click.Context) -> None:
    """Loanlake: raw loan files in, tested features, promoted models and replayable scores out.

    All state lives under LOANLAKE_HOME (default: var/ in the repository).
    """
    if ctx.invoked_subcommand != _CLOSES_HOME_ITSELF:
        keep_private(Settings.from_environment())


def main() -> None:
    """Run the command; an error meant for the user is one message and exit code 1, never a traceback."""
    try:
        loanlake(prog_name="loanlake")
    except Exception as error:
        explanation = explained(error)
        if explanation is None:
            raise
        click.echo(f"loanlake: {explanation}", err=True)
        sys.exit(1)


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="loanlake.commands")}
