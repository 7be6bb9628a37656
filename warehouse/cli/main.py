"""The ``loanlake`` command, whose commands each package contributes by entry point.

``pyproject.toml`` lists them under ``loanlake.commands``, as ``name`` or ``group.name``; they are imported when needed.
"""

import os
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from warehouse.backup.records import require_whole
from warehouse.failures import explained
from warehouse.files.private_files import keep_private
from warehouse.settings import Settings
from warehouse.settings.registry import misspelt
from warehouse.team import fresh

_SECTIONS = {
    "Every day": (
        *(
            "run",
            "up",
            "serve",
            "ingest",
            "pull",
            "stream",
            "sql",
            "status",
            "doctor",
            "alerts",
            "report",
            "replay",
            "lineage",
            "key",
            "settings",
            "sign-in",
            "backup",
            "restore",
        ),
    ),
    "Models": ("model", "challenge", "canary", "policy"),
    "Data and features": ("lender", "data", "feature", "dev"),
    "Machines": ("team", "spark"),
    "Persons": ("person",),
}
_GROUPS = {
    "canary": "Roll a version out in growing shares of the applicants.",
    "challenge": "Try a version beside the champion.",
    "data": "Reload and maintain the lake.",
    "dev": """List and drop the lakes that analysts build with dbt.

    `dbt build` in warehouse/ builds into your own lake, from production's sources as they are when it begins; nothing
    in production waits. `loanlake sql` shows your lake as `dev`.""",
    "feature": "Create versions of the features.",
    "key": "Manage the keys of HTTP callers.",
    "lender": "Declare lenders from their files, and check them.",
    "model": "Promote, approve, archive and examine model versions.",
    "spark": "Build and compare the models on Apache Spark.",
    "team": "Manage the machines of a team.",
    "policy": "Examine what a cut-off earns.",
    "person": "Export or erase what is held of a person.",
}
#: `serve` logs JSON from the first line, and `settings` reports misspelt names itself.
_WARNS_ITSELF = ("serve", "settings")
#: They work while the servers of a team are away.
_WITHOUT_SERVERS = ("doctor", "settings", "status")
#: Of an unfinished restore: they finish it, or say so.
_DURING_A_RESTORE = ("backup", "doctor", "restore", "settings", "status")


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        names = {path[0] for path in self._found()}
        known = [name for section in _SECTIONS.values() for name in section]
        return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for path, entry in self._found().items():
            if path[0] == cmd_name:
                return entry.load() if len(path) == 1 else _Group(cmd_name, help=_GROUPS.get(cmd_name))
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        limit = formatter.width - 6 - max(map(len, commands))
        sections = {"Commands": ()} if self.name in _GROUPS else _SECTIONS | {"Others": ()}
        for heading, names in sections.items():
            shown = [name for name in commands if name in names] or [*commands] * (heading in ("Commands", "Others"))
            rows = [(name, found.get_short_help_str(limit)) for name in shown if (found := commands.pop(name, None))]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def _found(self) -> dict[tuple[str, ...], EntryPoint]:
        """Commands of this group by the rest of their path."""
        prefix = f"{self.name}." if self.name in _GROUPS else ""
        return {
            tuple(entry.name.removeprefix(prefix).split(".")): entry
            for entry in entry_points(group="loanlake.commands")
            if entry.name.startswith(prefix)
        }


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loanlake")
@click.pass_context
def loanlake(ctx: click.Context) -> None:
    """Loanlake: raw loan files in; tested features, promoted models and replayable scores out.

    All state is kept under LOANLAKE_HOME. `loanlake settings` shows every setting.
    """
    if ctx.invoked_subcommand not in _WARNS_ITSELF:
        for sentence in misspelt(os.environ):
            click.echo(f"loanlake: {sentence}", err=True)
    settings = Settings.from_environment()
    if ctx.invoked_subcommand not in _DURING_A_RESTORE:
        require_whole(settings)
    if ctx.invoked_subcommand != "serve":  # it closes the home itself once it has a log
        keep_private(settings)
        if ctx.invoked_subcommand not in _WITHOUT_SERVERS:
            fresh(settings)


def main() -> None:
    """Run the command; an error meant for the user prints one message and exits with 1, without a traceback."""
    try:
        loanlake(prog_name="loanlake")
    except Exception as error:
        explanation = explained(error)
        if explanation is None:
            raise
        click.echo(f"loanlake: {explanation}", err=True)
        sys.exit(1)
