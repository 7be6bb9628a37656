"""`loanlake COMMAND --help` as a user reads it."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from warehouse.cli import loanlake


def _commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield from _commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]


@pytest.mark.parametrize("command", list(_commands(loanlake)), ids=" ".join)
def test_help_keeps_each_example_on_a_line_of_its_own(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(loanlake, [*command, "--help"], prog_name="loanlake")

    assert result.exit_code == 0
    assert "\\b" not in result.output  # else click did not see the mark, and joined the lines
