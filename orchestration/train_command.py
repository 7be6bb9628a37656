"""``loanlake model train``: one candidate on the rows of the last run, without building them again."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click
import yaml

from warehouse.cli import options
from warehouse.settings import Settings

if TYPE_CHECKING:
    from orchestration.defs.serving.publishing import Outcome
    from orchestration.defs.training.single_training import Trained
    from warehouse.lenders.lender import PublishMode


def _settings(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise click.BadParameter(f"must be NAME=VALUE like max_depth=3: found {text!r}")
        try:
            found[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.BadParameter(f"must have a number, a text or a list as value: found {text!r}") from None
    return found


def _half_life(_ctx: click.Context, _param: click.Parameter, text: str | None) -> dict[str, float | None]:
    if text is None:
        return {}
    if text == "none":
        return {"half_life_months": None}
    return {"half_life_months": options.Number(0, min_open=True)(text, _param, _ctx)}


@click.command()
@click.argument("source")
@options.family
@click.option(
    "--setting",
    "family_settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_settings,
    help="A setting of the family, such as max_depth=3; repeatable.",
)
@options.exclude
@click.option(
    "--imbalance",
    type=click.Choice(["none", "class_weights", "smote"]),
    help="Whether defaults count as much as repaid loans.  [default: the lender's file, or none]",
)
@click.option(
    "--calibration",
    type=click.Choice(["platt", "beta", "isotonic", "auto"]),
    help="How scores become probabilities.  [default: the lender's file, or platt]",
)
@click.option(
    "--refit/--no-refit",
    default=None,
    help="Whether the model learns again from train and tune rows.  [default: the lender's file, or --refit]",
)
@click.option(
    "--half-life-months",
    "half_life",
    metavar="N|none",
    callback=_half_life,
    help="Months by which a loan weighs half as much; none: all weigh the same.  [default: the lender's file, or 24]",
)
@click.option(
    "--publish",
    type=click.Choice(["auto", "never"]),
    help="auto follows the rule of `loanlake run`, never only registers.  [default: the lender's file, "
    "LOANLAKE_PUBLISH, or auto]",
)
@options.by
def train(*, source: str, publish: "PublishMode | None", by: str, half_life: dict[str, Any], **given: Any) -> None:
    """Train one candidate for SOURCE on the rows of its last run.

    It is measured, judged by all gates and registered, and the answer says what came out and what to do next. Tables
    are not rebuilt: the training set is that of the last `loanlake run SOURCE`. What is not given is as the lender's
    file says. A model with the same rows and settings is not trained twice.

    As in a run, a model that passed its gates is published only if the rule says so: as the first model, as a refresh
    that is no worse, or as a change that is better by a paired 95 % interval. Any other one waits.

    \b
        loanlake model train lending_club --family scorecard
        loanlake model train lending_club --setting max_depth=3 --imbalance class_weights --publish never
        loanlake model train lending_club --family ensemble --setting 'members=[xgboost, scorecard]'

    Exit code 0: all gates passed; 1: a gate refused it, the answer says which and why; 130: interrupted.
    """
    from orchestration.defs.serving.publishing import publish_candidate
    from orchestration.defs.training.single_training import TrainingPlan, run_training

    settings = Settings.from_environment()
    ways = {name: given[name] for name in ("imbalance", "calibration", "refit") if given[name] is not None}
    plan = TrainingPlan(source, given["family"], given["exclude"], given["family_settings"], ways | half_life)
    try:
        found = run_training(settings, plan, click.echo)
    except KeyboardInterrupt:
        click.echo("loanlake: interrupted; nothing was registered", err=True)
        sys.exit(130)
    if is_refused(settings, source, found):
        click.echo("\n".join([*figure_lines(found), *refusal_lines(source, found)]))
        sys.exit(1)
    outcome = publish_candidate(settings, source, mode=publish, reason="", by=by, directory=found.candidate)
    click.echo("\n".join([*figure_lines(found), *outcome_lines(source, found, outcome)]))


def is_refused(settings: Settings, source: str, found: "Trained") -> bool:
    """Whether a gate's refusal stands, not overridden by a person."""
    from ml.registry.approval import find_approval, standing_refusals
    from ml.registry.registered_version import get_version

    version = get_version(settings, source, int(found.registration["model_version"]))
    return bool(standing_refusals(version, find_approval(settings, version)))


def figure_lines(found: "Trained") -> list[str]:
    """What was trained, its figures on test rows, and those of the champion on the same loans."""
    from ml.judging.evaluation import CHAMPION, Evaluation
    from ml.judging.metrics import candidate_on_test, measured_split
    from orchestration.defs.training.model_page import family_text, guarantees_text
    from orchestration.lib.pages import figure

    bundle = found.candidate.bundle
    metrics = json.loads((bundle / "metrics.json").read_text())
    test, beside = candidate_on_test(metrics), Evaluation.from_dict(metrics).comparisons.get(CHAMPION)
    judgement = found.candidate.read_judgement()
    lines = [
        f"family   {family_text(json.loads((bundle / 'lineage.json').read_text()))}",
        f"         {guarantees_text(bundle)}",
        f"test     ({measured_split(metrics)}) AUC {figure(test['auc'])} "
        f"({figure(test['auc_low'])} to {figure(test['auc_high'])}), Brier {figure(test['brier'])}, "
        f"log loss {figure(test['log_loss'])}",
    ]
    if beside is not None:
        lines.append(
            f"         on the same loans as version {metrics['champion_version']}, the champion: AUC "
            f"{beside.auc.text}, Brier {beside.brier.text}"
        )
    if judgement is not None:
        passed = len(judgement.gates) - len(judgement.refused)
        lines.append(f"gates    {passed} of {len(judgement.gates)} passed")
    registration = found.registration
    known = ", trained before from the same rows and settings" if found.is_known else ""
    return [*lines, f"model    {registration['model_name']} version {registration['model_version']}{known}"]


def refusal_lines(source: str, found: "Trained") -> list[str]:
    """The refusals, and what is left to do."""
    from orchestration.defs.training.next_steps import after_refusal

    judgement = found.candidate.read_judgement()
    lines = after_refusal(source, found.registration, judgement) if judgement else []
    return ["outcome  refused, and not served", *(f"  {line}" for line in lines)]


def outcome_lines(source: str, found: "Trained", outcome: "Outcome") -> list[str]:
    """What the rule of publication did, and the command for a trial of what it left to a person."""
    from ml.judging.publication import RULE
    from orchestration.defs.training.next_steps import compare_first

    lines = [f"outcome  {outcome.text}"]
    if outcome.word == "unchanged":
        return [*lines, "  it is served, or was before: no run puts it back in service by itself"]
    lines.append(f"  rule: {RULE}")
    return [*lines, f"  or: {compare_first(source, found.registration)}"] if outcome.word == "waiting" else lines
