"""``loanlake model walk-forward``: a lender's history month by month, as the platform would have handled it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import options
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml.walk_forward.results import WalkedMonth
    from ml.walk_forward.summary import PolicySummary

_MOST_OF_WHY = 90


@click.command()
@click.argument("source")
@click.option("--from", "first", metavar="YYYY-MM", required=True, help="First month to walk.")
@click.option("--to", "last", metavar="YYYY-MM", required=True, help="Last month to walk.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(["never", "monthly", "drift"]),
    help="When to train after the first champion; repeatable.  [default: all three]",
)
@click.option(
    "--label-window-months",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    help="Months after the decision within which a default counts.",
)
@options.exclude
@options.family
@options.feature_version
@click.option("--run", "run_name", default="main", show_default=True, help="Name of the walk in the results.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Where to draw the policies (PNG).")
def walk_forward(
    *,
    source: str,
    first: str,
    last: str,
    policies: tuple[str, ...],
    label_window_months: int,
    exclude: tuple[str, ...],
    family: str,
    feature_version: str,
    run_name: str,
    plot: Path | None,
) -> None:
    """Replay SOURCE's history month by month with what was known.

    On the first day of each month: train, judge, decide and measure. Labels are defaults within --label-window-months,
    known once the window is over. Needs the tables that `loanlake run SOURCE` builds, and changes nothing that is
    served. Writes monitoring.walk_forward, monitoring.walk_forward_decisions and a picture. A month that is walked
    again is replaced; the month before the first hands its champion on. Models are kept: an interrupted walk goes on.

    \b
        loanlake model walk-forward lending_club --from 2009-01 --to 2011-12
        loanlake model walk-forward simulated --from 2024-01 --to 2025-06 --policy monthly --plot monthly.png
    """
    from ml.judging.gate_limits import limits_of
    from ml.training.fitting import training_settings_of
    from ml.walk_forward.plan import WalkPlan, parse_month, parse_policies
    from ml.walk_forward.summary import summarise
    from orchestration.defs.walk_forward.walking import run_walk

    lender = read_lender(source)
    plan = WalkPlan(
        source=source,
        first=parse_month(first),
        last=parse_month(last),
        policies=parse_policies(policies),
        run=run_name,
        label_window_months=label_window_months,
        training=training_settings_of(lender, family=family, exclude=exclude),
        limits=limits_of(lender),
    )
    try:
        walk = run_walk(Settings.from_environment(), plan, _print_month, feature_version=feature_version, plot=plot)
    except KeyboardInterrupt:
        click.echo("loanlake: interrupted; walked months are kept, repeat the command to continue", err=True)
        sys.exit(130)
    click.echo("\n".join(["", *_summary_lines(summarise(walk.months)), "", f"plot  {walk.plot}"]))


def _print_month(row: "WalkedMonth") -> None:
    done = "promoted" if row.is_promoted else "refused" if row.is_retrained else "kept"
    model = f"model of {row.champion_month:%Y-%m}" if row.champion_month else "no model"
    psi = "" if row.score_psi is None else f"  PSI {row.score_psi:.3f}"
    why = row.why if len(row.why) <= _MOST_OF_WHY else f"{row.why[:_MOST_OF_WHY]}…"
    click.echo(f"{row.month:%Y-%m}  {row.policy:<8} {done:<9} {model:<16} {row.n_decisions:>7,} decisions{psi}  {why}")


def _summary_lines(policies: "Sequence[PolicySummary]") -> list[str]:
    first = min((row.first for row in policies if row.first), default=None)
    if first is None:
        return ["no decision of the run has a label yet"]
    lines = [
        f"mature decisions of the months that every policy decided, from {first:%Y-%m} on",
        f"{'policy':<9}{'trained':>8}{'promoted':>9}{'mature':>8}{'defaults':>9}{'gap':>9}{'AUC':>8}{'Brier':>8}{'ECE':>8}",
    ]
    for row in policies:
        gap = "–" if row.calibration_gap is None else f"{row.calibration_gap:+.4f}"
        rate = "–" if row.default_rate is None else f"{row.default_rate:.1%}"
        figures = "".join(
            f"{'–' if value is None else format(value, '.4f'):>8}" for value in (row.auc, row.brier, row.ece)
        )
        lines.append(
            f"{row.policy:<9}{row.n_trained:>8}{row.n_promoted:>9}{row.n_mature:>8,}{rate:>9}{gap:>9}{figures}"
        )
    return lines
