"""Three plots of a comparison, as PNG bytes: ranking with intervals, Gini by month, calibration."""

from collections.abc import Sequence
from itertools import cycle
from typing import Final

import numpy as np

from ml.comparison.comparing import Comparison
from ml.comparison.figures import ModelFigures
from ml.judging.evaluation import BASE_RATE, CHAMPION
from ml.judging.metrics import Z95, reliability
from ml.judging.plots import FAINT, INK, open_figure, percent, png

_CHAMPION: Final = "#7a4fa3"
_COLOURS: Final = ("#12476f", "#c77d2e", "#3f8f7a", "#b3402f", "#8a8f3c", "#5b8db8", "#6b5b4b", "#c2588c", "#222222")
#: One fewer than the colours: no pair of both comes twice among 72 models.
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<")


def draw_comparison(comparison: Comparison) -> dict[str, bytes]:
    """All plots by name: ``ranking``, ``gini_by_month``, ``calibration``."""
    return {
        "ranking": ranking(comparison),
        "gini_by_month": gini_by_month(comparison),
        "calibration": calibration(comparison),
    }


def ranking(comparison: Comparison) -> bytes:
    """Each model's AUC with its interval and, in words, its paired difference to the model compared with."""
    rows = sorted(_ranked(comparison), key=lambda row: row.auc or 0.0)
    style_of = styles(comparison)
    figure, (axes,) = open_figure(_title(comparison), size=(7.2, 1.6 + 0.5 * len(rows)))
    reference = comparison.reference
    if reference.auc is not None:
        axes.axvline(reference.auc, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for place, row in enumerate(rows):
        if row.auc is None:
            continue
        colour, marker = style_of[row.model]
        if row.auc_low is not None and row.auc_high is not None:
            axes.hlines(place, row.auc_low, row.auc_high, color=colour, linewidth=2)
        axes.plot([row.auc], [place], marker, color=colour, markersize=7)
        axes.annotate(
            _beside(row, reference), (row.auc, place), (0, 8), textcoords="offset points", fontsize=9, color=INK,
            ha="center",
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(xlabel="AUC on test loans, with 95 % interval", ylim=(-0.6, len(rows) - 0.2))
    axes.margins(x=0.12)
    return png(figure)


def gini_by_month(comparison: Comparison) -> bytes:
    """Each model's Gini by month of decision."""
    what = "Gini by month of decision"
    style_of = styles(comparison)
    rows = [row for row in comparison.months if row.gini is not None]
    n_months = len({row.month for row in rows})
    title = f"{what}, {n_months} months of test loans" if n_months > 1 else f"{what}: there is one month at most"
    figure, (axes,) = open_figure(title)
    for row in _ranked(comparison):
        of_model = [month for month in rows if month.model == row.model]
        colour, marker = style_of[row.model]
        axes.plot(
            np.array([month.month for month in of_model], dtype="datetime64[D]"),
            np.array([month.gini for month in of_model], dtype=np.float64),
            f"{marker}-", color=colour, markersize=4, linewidth=1.3, label=row.name,
        )  # fmt: skip
    axes.set(xlabel="Month of decision", ylabel="Gini")
    if rows:
        from matplotlib.dates import ConciseDateFormatter

        locator = axes.xaxis.get_major_locator()
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # matplotlib gives it no types
    axes.legend(loc="best", frameon=False, fontsize=8, ncols=2)
    return png(figure)


def calibration(comparison: Comparison) -> bytes:
    """Default rate against mean probability in bins of equal size, of each model on test loans."""
    figure, (axes,) = open_figure(
        f"Calibration on test loans: {comparison.defaulted.mean():.1%} defaulted; on the line, probability = outcome"
    )
    style_of, top = styles(comparison), 0.01
    for row in _ranked(comparison):
        bins = reliability(comparison.defaulted, comparison.probabilities[row.model])
        colour, marker = style_of[row.model]
        axes.plot(
            bins.mean_probability, bins.default_rate, f"{marker}-", markersize=4, linewidth=1.1, color=colour,
            label=row.name,
        )  # fmt: skip
        if row.model == comparison.reference.model:
            error = Z95 * np.sqrt(bins.default_rate * (1 - bins.default_rate) / bins.n)
            low, high = np.clip(bins.default_rate - error, 0, None), bins.default_rate + error
            axes.vlines(bins.mean_probability, low, high, color=colour, linewidth=1, alpha=0.6)
        top = max(top, float(bins.mean_probability.max()), float(bins.default_rate.max()))
    axes.plot([0, top], [0, top], color=FAINT, linewidth=1, zorder=0)
    axes.set(xlabel="Mean probability of default in the bin", ylabel="Default rate in the bin")
    percent(axes, "xy")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return png(figure)


def styles(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Colour and marker of each model, the same in every plot."""
    families = [row.model for row in _ranked(comparison) if row.model != CHAMPION]
    of_families = dict(zip(families, zip(cycle(_COLOURS), cycle(_MARKERS), strict=False), strict=False))
    return {CHAMPION: (_CHAMPION, "*"), **of_families}


def _ranked(comparison: Comparison) -> Sequence[ModelFigures]:
    """All models but the base rate, which ranks nothing."""
    return [row for row in comparison.models if row.model != BASE_RATE]


def _title(comparison: Comparison) -> str:
    occasion = comparison.occasion
    return f"{occasion.source}: {occasion.n_test:,} test loans ({occasion.split_kind})"


def _beside(row: ModelFigures, reference: ModelFigures) -> str:
    if row is reference or row.auc_difference is None or row.verdict is None:
        return f"{row.auc:.4f}"
    difference = f"{row.auc_difference:+.4f} ({row.auc_difference_low:+.4f} to {row.auc_difference_high:+.4f})"
    return f"{row.auc:.4f}, against {reference.name} {difference}: {row.verdict}"
