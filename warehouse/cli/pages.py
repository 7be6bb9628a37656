"""The generated pages of ``docs/``: settings, commands, and the lender file; ``make docs`` writes them."""

from collections.abc import Iterator

import click

from warehouse.cli.lender_page import lender_page
from warehouse.cli.main import loanlake
from warehouse.settings import REPOSITORY
from warehouse.settings.registry import groups
from warehouse.settings.variable import Variable

_WIDTH = 100


def settings_page() -> str:
    """All variables, one table for each declaring class."""
    lines = [
        "# Settings",
        "",
        "Settings are environment variables. A value that cannot be used stops a command with one message. `loanlake",
        "settings` shows each value in use and where it came from, and names misspelt variables. A variable that is",
        "set to an empty text counts as not set. `make docs` writes this page from the declarations in the code.",
    ]
    for heading, variables in groups().items():
        lines += ["", f"## {heading}", "", "| variable | what it sets | value | default |", "| --- | --- | --- | --- |"]
        lines += [_row(variable) for variable in variables]
    return "\n".join([*lines, ""])


def commands_page() -> str:
    """The help of every command, under the headings of ``loanlake --help``."""
    lines = [
        "# Commands",
        "",
        "`loanlake COMMAND --help` prints the same. `make docs` writes this page from the commands.",
        "",
        "```text",
        _help(loanlake, "loanlake"),
        "```",
    ]
    for path, command in _commands(loanlake, "loanlake"):
        lines += ["", f"## {path}", "", "```text", _help(command, path), "```"]
    return "\n".join([*lines, ""])


PAGES = {"settings.md": settings_page, "commands.md": commands_page, "lender-file.md": lender_page}


def _row(variable: Variable) -> str:
    required = variable.required.replace("|", "\\|")
    default = variable.otherwise or f"`{variable.shown(variable.default)}`".replace("`not set`", "not set")
    what = variable.says + (" Secret: never shown." if variable.secret else "")
    return f"| `{variable.name}` | {what} | {required} | {default} |"


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        if (command := group.get_command(context, name)) is not None:
            yield f"{path} {name}", command
            if isinstance(command, click.Group):
                yield from _commands(command, f"{path} {name}")


def _help(command: click.Command, path: str) -> str:
    # click keeps the help option of a command's first use: one that was called by itself would show `--help` alone
    command._help_option = None
    context = click.Context(command, info_name=path, terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


if __name__ == "__main__":
    for name, page in PAGES.items():
        (REPOSITORY / "docs" / name).write_text(page())
