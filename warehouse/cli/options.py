"""Arguments and options that several commands share."""

import getpass
import math
from collections.abc import Callable
from typing import Any

import click

from warehouse.lenders.family_names import FAMILIES_IN_WORDS
from warehouse.settings import Settings
from warehouse.sources.simulated.simulation import Simulation


def _stated(_ctx: click.Context, _param: click.Parameter, reason: str) -> str:
    if not reason.strip():
        raise click.BadParameter("must say why: found a blank text")
    return reason.strip()


def _names(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if text.strip() and not names:
        raise click.BadParameter(f"must be names with commas between them: found {text!r}")
    return names


class Number(click.FloatRange):
    """A finite number in a range: NaN lies within every range that is checked by its ends."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; click's usage error for another value."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a finite number: found {value!r}", param, ctx)
        return number


def _folds(_ctx: click.Context, _param: click.Parameter, number: int) -> int:
    if number == 1:
        raise click.BadParameter("must be 0, for no folds, or at least 2: found 1")
    return number


def _chosen_lender(_ctx: click.Context, _param: click.Parameter, named: str | None) -> str:
    return Settings.from_environment().chosen_lender(named)


version = click.argument("version", type=click.IntRange(1))
lender = click.option(
    "--lender",
    callback=_chosen_lender,
    help="Lender of the model.  [default: LOANLAKE_DEFAULT_LENDER, else the only one served]",
)
by = click.option("--by", default=getpass.getuser, help="Your name, which is recorded.  [default: this user's]")
reason = click.option("--reason", required=True, callback=_stated, help="Why; it is recorded.")
entity = click.option("--entity", help="Kind of the files, such as loans; a lender of your own needs it.")
exclude = click.option(
    "--exclude", metavar="FEATURE,…", default="", callback=_names, help="Features that no model may use."
)
family = click.option(
    "--family",
    metavar="FAMILY",
    default="",
    help=f"Model family: auto, {FAMILIES_IN_WORDS}.  [default: the lender's file, or auto]",
)
families = click.option(
    "--families",
    metavar="FAMILY,…",
    default="",
    callback=_names,
    help=f"Families of models: {FAMILIES_IN_WORDS}.  [default: all that are installed]",
)
imbalance = click.option(
    "--imbalance",
    metavar="SETTING,…",
    default="",
    callback=_names,
    help="Compare the first family also with class_weights or smote (docs/lender-file.md: model.imbalance).",
)
folds = click.option(
    "--folds",
    metavar="N",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    callback=_folds,
    help="Folds of all labelled rows to train and measure on, at least 2; 0: the test loans alone.",
)
feature_version = click.option(
    "--feature-version",
    metavar="N",
    default="",
    help="Version of the features.  [default: the latest, with own columns]",
)


def simulation(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the size and the seed of the simulated lender."""
    for name, least, what in (
        ("seed", 0, "seed"),
        ("months", 1, "months of decisions, up to 2025-12"),
        ("applications", 1, "number of applications"),
    ):
        default = getattr(Simulation, name)
        text = f"Simulated lender: {what}.  [default: {default:,}]"
        command = click.option(f"--{name}", type=click.IntRange(least), help=text)(command)
    return command
