"""Arguments and options that several commands share."""

import getpass
from collections.abc import Callable
from typing import Any

import click

from warehouse.settings import Settings
from warehouse.sources.simulated.simulation import Simulation


def _stated(_ctx: click.Context, _param: click.Parameter, reason: str) -> str:
    if not reason.strip():
        raise click.BadParameter("must say why: found a blank text")
    return reason.strip()


def _names(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


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
    help="Model family: auto, xgboost, logistic, scorecard, random_forest or hazard.  "
    "[default: the lender's file, or auto]",
)
families = click.option(
    "--families",
    metavar="FAMILY,…",
    default="",
    callback=_names,
    help="Families of models: xgboost, logistic, scorecard, random_forest, hazard.  [default: all that are installed]",
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
