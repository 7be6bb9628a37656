"""A command finds a person by the id that files and requests know them by."""

import click
import pytest
from click.testing import CliRunner

from warehouse.values.id_argument import IdArgument


@click.command()
@click.argument("borrower_id", type=IdArgument())
def show(borrower_id: str) -> None:
    click.echo(ascii(borrower_id))


@pytest.mark.parametrize(
    ("given", "meant"), [(" b-1\t", "'b-1'"), ("1001.0", "'1001'"), ("Ame\u0301lie", "'Am\\xe9lie'")]
)
def test_an_id_is_read_in_its_one_form(given: str, meant: str) -> None:
    assert CliRunner().invoke(show, [given]).output == f"{meant}\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a\nb", "must be an id of 1 to 100 characters"),
        ("NaN", "means a missing one"),
        (" ", "means a missing"),
    ],
)
def test_what_is_not_an_id_ends_the_command(given: str, message: str) -> None:
    done = CliRunner().invoke(show, [given])

    assert done.exit_code == 2
    assert message in done.output
