"""Three plots of a search, as PNG bytes: its history, which settings mattered, and all trials side by side."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ml.judging.plots import FAINT, INK, open_figure, png
from ml.search.results import SearchResult, SearchTrial

_TRIAL: Final = "#5b8db8"
_BEST: Final = "#12476f"
_DEFAULT: Final = "#c77d2e"


def draw_search(result: SearchResult) -> dict[str, bytes]:
    """All plots by name: ``history``, ``influence``, ``parallel_coordinates``; those that the trials can give."""
    complete = [trial for trial in result.trials if not trial.is_pruned]
    plots = {}
    if complete:
        plots["history"] = history(result, complete)
        plots["parallel_coordinates"] = parallel_coordinates(result, complete)
    if result.influence:
        plots["influence"] = influence(result)
    return plots


def history(result: SearchResult, complete: Sequence[SearchTrial]) -> bytes:
    """The log loss of each complete trial, and the least so far of those that keep the limits."""
    n_pruned = len(result.trials) - len(complete)
    figure, (axes,) = open_figure(f"{len(complete)} trials on all folds; {n_pruned} ended early are not shown")
    kept = [trial for trial in complete if not trial.missed]
    missed = [trial for trial in complete if trial.missed]
    axes.plot([t.number for t in kept], [t.log_loss for t in kept], "o", color=_TRIAL, markersize=4, label="trial")
    if missed:
        places = [trial.number for trial in missed]
        axes.plot(places, [t.log_loss for t in missed], "x", color=FAINT, markersize=5, label="misses a limit")
    if kept:
        least = np.minimum.accumulate([trial.log_loss for trial in kept])
        axes.step([trial.number for trial in kept], least, where="post", color=_BEST, label="best so far")
    if result.default is not None:
        axes.axhline(
            result.default.log_loss, color=_DEFAULT, linewidth=1, linestyle=(0, (4, 3)), label="present settings"
        )
    axes.set(xlabel="Trial", ylabel="Log loss, mean of the folds")
    axes.legend(loc="upper right", frameon=False, fontsize=8)
    return png(figure)


def influence(result: SearchResult) -> bytes:
    """Each dimension's share of the differences between complete trials."""
    shares = sorted(result.influence.items(), key=lambda item: item[1])
    figure, (axes,) = open_figure("Which settings the log loss depends on", size=(7.2, 1.4 + 0.35 * len(shares)))
    axes.barh([name for name, _ in shares], [share for _, share in shares], color=_TRIAL)
    axes.set(xlabel="Share of the differences between complete trials (fANOVA)")
    return png(figure)


def parallel_coordinates(result: SearchResult, complete: Sequence[SearchTrial]) -> bytes:
    """Each complete trial as a line through its settings; the darker, the lower its log loss."""
    figure, (axes,) = open_figure("Settings of all complete trials; darker: lower log loss", size=(9.6, 4.6))
    names = list(complete[0].values)
    values = np.array([[trial.values[name] for name in names] for trial in complete], dtype=np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    places = (values - low) / np.where(high > low, high - low, 1.0)
    order = np.argsort([-trial.log_loss for trial in complete], kind="stable")
    for rank, place in enumerate(order):
        axes.plot(places[place], color=_TRIAL, alpha=0.1 + 0.6 * rank / len(order), linewidth=1)
    for trial, colour, label in ((result.default, _DEFAULT, "present settings"), (result.best, _BEST, "best")):
        if trial is not None and trial in complete:
            axes.plot(places[complete.index(trial)], color=colour, linewidth=2.2, label=label)
    axes.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names], fontsize=8)
    axes.set_yticks([])
    for number, (least, most) in enumerate(zip(low, high, strict=True)):
        axes.annotate(f"{most:.3g}", (number, 1.02), ha="center", va="bottom", fontsize=8, color=INK)
        axes.annotate(f"{least:.3g}", (number, -0.02), ha="center", va="top", fontsize=8, color=INK)
    axes.set_ylim(-0.12, 1.12)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return png(figure)
