"""``loanlake model ensemble``: registered versions added up to one model."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import options
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.families.ensemble import Method
    from orchestration.defs.training.ensembling import Ensembled


def _version_numbers(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[int, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or not all(name.isdecimal() and int(name) for name in names):
        raise click.BadParameter(f"must be numbers of registered versions like 3,5: found {text!r}")
    return tuple(map(int, names))


@click.command()
@click.argument("source")
@click.option(
    "--versions", metavar="N,…", required=True, callback=_version_numbers, help="Registered versions, two or more."
)
@click.option(
    "--method",
    type=click.Choice(["mean", "stacking"]),
    help="mean: weights that sum to 1. stacking: a logistic regression on the members.  [default: mean]",
)
@click.option("--l2", type=options.Number(0), help="Ridge on the weights.  [default: 100]")
def ensemble(*, source: str, versions: tuple[int, ...], method: "Method | None", l2: float | None) -> None:
    """Train an ensemble of registered versions of SOURCE's model.

    The versions must have learned from the same rows, features and in the same way. Their calibrated log-odds are
    added; tune rows decide the weights, by each version's fit from before it learned from them. The ensemble is judged
    and registered as any candidate, and passes only if it is better than its best member on the test loans, by a paired
    95 % interval. It is not served.

    \b
        loanlake model ensemble lending_club --versions 3,5
        loanlake model ensemble lending_club --versions 1,2,4 --method stacking

    Exit code 0: all gates passed; 1: a gate refused it, the answer says which and why.
    """
    from orchestration.defs.training.ensembling import run_ensemble

    settings = Settings.from_environment()
    try:
        found = run_ensemble(settings, source, versions, method=method, l2=l2)
    except KeyboardInterrupt:
        click.echo("loanlake: interrupted; nothing was registered", err=True)
        sys.exit(130)
    click.echo("\n".join(_lines(found)))
    if not _passed(found):
        sys.exit(1)


def _passed(found: "Ensembled") -> bool:
    judgement = found.candidate.read_judgement()
    return judgement is not None and judgement.passed


def _lines(found: "Ensembled") -> list[str]:
    from ml.judging.metrics import measured_split
    from orchestration.defs.training.next_steps import after_passing, after_refusal

    metrics = json.loads((found.candidate.bundle / "metrics.json").read_text())
    on_test = {row["model"]: row for row in metrics["measured"] if row["split"] == "test" and row["month"] is None}
    members = [name for name in on_test if name.startswith("member_")]
    lines = [f"test ({measured_split(metrics)})", *_member_lines(found, members, on_test)]
    lines.append(f"  ensemble               {'':<8}{_figures(on_test['candidate'])}")
    registration, judgement = found.registration, found.candidate.read_judgement()
    name, version, source = registration["model_name"], registration["model_version"], found.candidate.path.parent.name
    if judgement is None or judgement.passed:
        steps = [after_passing(source, registration)]
    else:
        steps = after_refusal(source, registration, judgement)
    outcome = "all gates passed; not served" if _passed(found) else "refused, and not served"
    return [*lines, f"model  {name} version {version}: {outcome}", *(f"  {step}" for step in steps)]


def _member_lines(found: "Ensembled", members: list[str], on_test: dict[str, Any]) -> list[str]:
    return [
        f"  version {version:<4} {weighted.family:<14} {weighted.weight:<8.2f}{_figures(on_test[model])}"
        for version, weighted, model in zip(found.versions, found.weights.members, members, strict=True)
    ]


def _figures(row: dict[str, Any]) -> str:
    return f"AUC {row['auc']:.4f}  Brier {row['brier']:.4f}"
