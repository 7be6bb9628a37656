"""``loanlake model search``: better settings of a family, by folds of train and tune rows."""

import json
import sys
from typing import TYPE_CHECKING

import click

from warehouse.cli import options
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.search.results import SearchTrial
    from orchestration.defs.training.searching import Searched

_NUMBER = options.Number(0, min_open=True)


@click.command()
@click.argument("source")
@options.family
@click.option("--trials", type=click.IntRange(1), default=60, show_default=True, help="Trials, with earlier calls'.")
@click.option("--minutes", type=_NUMBER, help="Minutes after which no trial begins.")
@click.option("--processor-minutes", type=_NUMBER, help="The same in processor time, of all processes.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--most-features", metavar="N", type=click.IntRange(1), help="Most features that the model may read.")
@options.exclude
@click.option("--no-train", is_flag=True, help="Only search: train and register nothing.")
def search(
    *,
    source: str,
    family: str,
    trials: int,
    minutes: float | None,
    processor_minutes: float | None,
    workers: int,
    most_features: int | None,
    exclude: tuple[str, ...],
    no_train: bool,
) -> None:
    """Search better settings of a family for SOURCE.

    Optuna varies the family's settings, how many of the least important features are left out, and the weight of newer
    loans. Each trial is measured on folds of train and tune rows that walk forward in time; test rows have no part.
    The best one is trained, judged by the gates and registered, not served. A call that was ended or killed goes on
    where it was. Needs a `loanlake run SOURCE`, whose training set it uses, and `pip install 'loanlake[search]'`.
    auto, as family, searches xgboost. Writes models.search_trials, a page among the reports, and runs in MLflow.

    \b
        loanlake model search lending_club --trials 60 --minutes 15 --workers 2
        loanlake model search lending_club --family scorecard --most-features 15 --no-train
    """
    from ml.search.searching import Budget
    from ml.search.study import require_optuna
    from orchestration.defs.training.searching import SearchPlan, run_search

    require_optuna()
    plan = SearchPlan(
        source=source,
        family=family,
        exclude=exclude,
        most_features=most_features,
        budget=Budget(trials, minutes, processor_minutes),
        workers=workers,
        train=not no_train,
    )
    try:
        found = run_search(Settings.from_environment(), plan, _print_trial, click.echo)
    except KeyboardInterrupt:
        click.echo("loanlake: interrupted; finished trials are kept, repeat the command to continue", err=True)
        sys.exit(130)
    click.echo("\n".join(["", *_lines(found)]))


def _print_trial(trial: "SearchTrial", best: "SearchTrial | None") -> None:
    values = "  ".join(f"{name}={value:.4g}" for name, value in trial.values.items())
    state = f"ended after {len(trial.folds)} folds" if trial.is_pruned else f"± {trial.log_loss_spread:.4f}"
    missed = f"  misses {', '.join(trial.missed)}" if trial.missed else ""
    least = f"best {best.log_loss:.4f}" if best else "none keeps the limits"
    click.echo(f"trial {trial.number:>3}  log loss {trial.log_loss:.4f} {state:<19} {least}{missed}  {values}")


def _lines(found: "Searched") -> list[str]:
    from orchestration.defs.training.search_page import file_lines

    result, best = found.result, found.result.best
    n_pruned = sum(trial.is_pruned for trial in result.trials)
    lines = [
        f"{len(result.trials)} trials, {n_pruned} of them ended early; this call took {result.seconds:,.0f} s, "
        f"{result.processor_seconds:,.0f} s of processor time in folds, and ended after {result.stopped}",
        f"folds  {result.fold_kind}: {result.fold_reason}",
        *([f"rows   {result.n_rows:,} of {result.n_of:,}, spread evenly"] if result.n_rows < result.n_of else []),
        f"found  {result.finding}",
    ]
    if best is not None and not best.is_default:
        lines += ["", "settings for the lender's file:", *(f"  {line}" for line in file_lines(best))]
        lines += [f"and --exclude {','.join(best.left_out)}"] if best.left_out else []
    if found.candidate is not None and found.registration is not None:
        lines += ["", *_candidate_lines(found)]
    return [*lines, f"page   {found.page}"]


def _candidate_lines(found: "Searched") -> list[str]:
    from ml.judging.metrics import candidate_on_test, measured_split
    from orchestration.defs.training.next_steps import after_passing, after_refusal

    candidate, registration = found.candidate, found.registration
    if candidate is None or registration is None:
        return []
    metrics = json.loads((candidate.bundle / "metrics.json").read_text())
    test, judgement, source = candidate_on_test(metrics), candidate.read_judgement(), candidate.path.parent.name
    if judgement is None or judgement.passed:
        outcome, steps = "all gates passed; not served", [after_passing(source, registration)]
    else:
        outcome, steps = "refused, and not served", after_refusal(source, registration, judgement)
    name, version = registration["model_name"], registration["model_version"]
    return [
        f"test   ({measured_split(metrics)}) AUC {test['auc']:.4f} ({test['auc_low']:.4f} to {test['auc_high']:.4f}), "
        f"Brier {test['brier']:.4f}, log loss {test['log_loss']:.4f}",
        f"model  {name} version {version}: {outcome}",
        *(f"  {step}" for step in steps),
    ]
