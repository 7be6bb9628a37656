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
@options.exclude
def compare(*, source: str, families: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Compare families of models on SOURCE's training set.

    Each is trained on the same rows with the lender's settings, and measured on the same test loans, overall and by
    month of decision, beside the champion: ranking with paired intervals, calibration, profit, stability, cost. Needs a
    `loanlake run SOURCE`, whose training set it uses; registers and serves nothing. Writes models.comparison,
    models.comparison_months and a page among the reports.

    \b
        loanlake model compare lending_club
        loanlake model compare lending_club --families xgboost,scorecard
        loanlake sql "select model, auc, auc_difference_low from models.comparison order by compared_at desc"
    """
    from orchestration.defs.comparison.running import run_comparison

    settings = Settings.from_environment()
    try:
        found = run_comparison(settings, source, families, exclude=exclude, report=click.echo)
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
