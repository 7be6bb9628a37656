"""`loanlake COMMAND --help` as a user reads it."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from warehouse.cli import loanlake
from warehouse.errors import SettingError

pytestmark = pytest.mark.usefixtures("home")


def _groups(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _groups(command, *path, name)


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


@pytest.mark.parametrize("group", list(_groups(loanlake)), ids=" ".join)
def test_a_list_of_commands_fits_in_80_columns_uncut(group: tuple[str, ...]) -> None:
    result = CliRunner().invoke(loanlake, [*group, "--help"], prog_name="loanlake", terminal_width=80)

    lines = result.output.splitlines()[1:]  # but the usage
    assert [line for line in lines if line.endswith("...") or len(line) > 80] == []
    # one line a command: what click folds begins in the column of the texts
    assert [line for line in lines if line.startswith(" " * 8)] == []


def test_every_command_is_under_a_heading_everyday_ones_first() -> None:
    output = CliRunner().invoke(loanlake, ["--help"], prog_name="loanlake").output

    headings = [line for line in output.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Every day:", "Models:", "Data and features:", "Machines:", "Persons:"]


def test_a_misspelt_setting_is_named_once_and_the_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANLAKE_RETENTION_DAY", "10")

    result = CliRunner().invoke(loanlake, ["dev", "list"])

    assert result.exit_code == 0
    assert "LOANLAKE_RETENTION_DAY is not a setting" in result.stderr
    assert result.stderr.count("did you mean LOANLAKE_RETENTION_DAYS?") == 1


def test_settings_show_where_each_value_came_from_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANLAKE_REDIS_URL", "redis://:s3cret@cache:6379/0")
    monkeypatch.setenv("LOANLAKE_LEASE_SECONDS", "30")

    result = CliRunner().invoke(loanlake, ["settings"])

    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert result.exit_code == 0
    assert rows["LOANLAKE_LEASE_SECONDS"] == "30 seconds  (environment)"
    assert rows["LOANLAKE_GRACE_HOURS"] == "24 hours  (default)"
    assert rows["LOANLAKE_LAKE_DATA"].endswith("(derived)")
    assert rows["LOANLAKE_REDIS_URL"] == "***  (environment)"
    assert "s3cret" not in result.output


def test_settings_end_with_an_error_where_one_is_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANLAKE_RATE_LIMITS", "10")

    result = CliRunner().invoke(loanlake, ["settings", "--changed"])

    assert isinstance(result.exception, SettingError)
    assert "did you mean LOANLAKE_RATE_LIMIT?" in str(result.exception)
