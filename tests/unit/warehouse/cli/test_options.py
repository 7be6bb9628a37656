"""Options that commands share refuse what no command can use, before any work."""

import click
import pytest
from click.testing import CliRunner

from warehouse.cli import options


@click.command()
@click.option("--number", type=options.Number(0, min_open=True))
@options.exclude
@options.folds
def _command(*, number: float | None, exclude: tuple[str, ...], folds: int) -> None:
    click.echo(f"{number} {exclude} {folds}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--number", "nan"], "must be a finite number: found 'nan'"),
        (["--number", "inf"], "must be a finite number: found 'inf'"),
        (["--number", "many"], "'many' is not a valid number"),
        (["--number", "0"], "0 is not in the range x>0"),
        (["--exclude", " , "], "must be names with commas between them: found ' , '"),
        (["--folds", "1"], "must be 0, for no folds, or at least 2: found 1"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(_command, arguments)

    assert result.exit_code == 2
    assert message in result.output


def test_what_can_be_used_arrives() -> None:
    result = CliRunner().invoke(_command, ["--number", "0.5", "--exclude", "a, b,", "--folds", "0"])

    assert result.output == "0.5 ('a', 'b') 0\n"
