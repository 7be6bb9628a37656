"""``loanlake model compare``: the families of models beside each other, on the same loans."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from warehouse.cli import options
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.comparison.comparing import Comparison


@click.command()
@click.argument("source")
@options.families
@options.imbalance
@options.folds
@options.exclude
def compare(
    *, source: str, families: tuple[str, ...], imbalance: tuple[str, ...], folds: int, exclude: tuple[str, ...]
) -> None:
    """Compare families of models on SOURCE's training set.

    Each is trained on the same rows with the lender's settings, and measured on the same test loans, overall and by
    month of decision, beside the champion: ranking with paired intervals, calibration, profit, stability, cost. Each is
    trained again on folds of all labelled rows, in time where the loans have dates, which shows how far its figures
    scatter.

    Needs a `loanlake run SOURCE`, whose training set it uses; registers and serves nothing. Writes models.comparison,
    models.comparison_months, models.comparison_folds, models.information_values (of the scorecard), a page among the
    reports, and a run in MLflow.

    \b
        loanlake model compare lending_club
        loanlake model compare lending_club --families xgboost,scorecard --folds 0
        loanlake model compare lending_club --families xgboost --imbalance class_weights,smote
        loanlake sql "select model, auc, auc_difference_low from models.comparison order by compared_at desc"
    """
    from orchestration.defs.comparison.running import run_comparison

    settings = Settings.from_environment()
    try:
        found = run_comparison(
            settings, source, families, imbalance=imbalance, exclude=exclude, n_folds=folds, report=click.echo
        )
    except KeyboardInterrupt:
        click.echo("loanlake: interrupted; nothing was written", err=True)
        sys.exit(130)
    click.echo("\n".join(["", *_lines(found.comparison), "", f"page  {found.page}"]))


def _lines(comparison: "Comparison") -> list[str]:
    from orchestration.defs.comparison.figure_texts import TERMINAL

    occasion = comparison.occasion
    cells = [list(TERMINAL), *([text(row) for text in TERMINAL.values()] for row in comparison.models)]
    lines = [
        f"{occasion.n_test:,} test loans ({occasion.split_kind}), {occasion.n_test_defaults:,} defaults; "
        f"differences in AUC are against {comparison.reference.name}",
        *_aligned(cells),
        "",
        comparison.finding,
    ]
    if occasion.n_folds:
        lines.append(f"{occasion.n_folds} folds ({occasion.fold_kind}): {comparison.fold_reason}")
    elif comparison.fold_reason:
        lines.append(f"no folds: {comparison.fold_reason}")
    lines += [f"left out: {name} {why}" for name, why in comparison.left_out.items()]
    lines += [
        f"{row.name} has learned from {row.n_test_seen:,} of the test loans: its figures are flattered"
        for row in comparison.models
        if row.n_test_seen
    ]
    return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
