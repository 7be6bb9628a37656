"""The policies of a walk side by side, month by month, as one PNG."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml.judging.plots import FAINT, open_figure, percent, png
from ml.monitoring.limits import DriftRule, PerformanceRule
from ml.walk_forward.plan import POLICIES, RetrainingPolicy
from ml.walk_forward.results import WalkedMonth
from ml.walk_forward.summary import PolicySummary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colour and line, so that policies with the same champion stay visible.
_STYLES: Final[Mapping[RetrainingPolicy, tuple[str, str, float]]] = {
    "never": ("#8a939c", "solid", 3.5),
    "monthly": ("#12476f", "solid", 1.4),
    "drift": ("#c77d2e", "dashed", 1.4),
}


def draw_walk(months: Sequence[WalkedMonth]) -> bytes:
    """AUC, calibration gap and PSI of the scores by month of decision; a filled dot is a month with a promotion.

    Months with too few mature decisions are faint.
    """
    summaries = summarise(months)
    policies = [policy for policy in POLICIES if any(row.policy == policy for row in months)]
    rows = {policy: [row for row in months if row.policy == policy] for policy in policies}
    figure, panels = open_figure(_title(months, summaries), panels=3, size=(9.2, 8.4))
    for axes, (label, value) in zip(panels, _PANELS.items(), strict=True):
        for policy in policies:
            _line(axes, rows[policy], value, policy)
        axes.set_ylabel(label)
    panels[1].axhline(0, color=FAINT, linewidth=1, zorder=0)
    percent(panels[1], "y")
    panels[2].axhline(DriftRule().psi, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    panels[2].set_xlabel("Month of decision; a filled dot: a new champion that month")
    for found in summaries:
        colour, style, width = _STYLES[found.policy]
        panels[0].plot([], [], color=colour, linestyle=style, linewidth=width, label=_label(found))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(policies), frameon=False, fontsize=9)
    return png(figure)


#: Smaller differences of AUC count as equal in the title.
_EQUAL_AUC: Final = 0.002

_PANELS: Final[Mapping[str, Callable[[WalkedMonth], float | None]]] = {
    "AUC": lambda row: row.auc,
    "Mean probability\nless default rate": lambda row: row.calibration_gap,
    "PSI of the scores": lambda row: row.score_psi,
}


def _line(
    axes: "Axes", rows: Sequence[WalkedMonth], value: Callable[[WalkedMonth], float | None], policy: RetrainingPolicy
) -> None:
    from matplotlib.colors import to_rgba

    colour, style, width = _STYLES[policy]
    points = [(row, found) for row in rows if (found := value(row)) is not None]
    axes.plot(
        _dates(row for row, _ in points),
        [found for _, found in points],
        color=colour,
        linewidth=width,
        linestyle=style,
        alpha=0.5,
    )
    min_mature = PerformanceRule().min_mature
    alphas = [1.0 if (row.n_mature or 0) >= min_mature else 0.35 for row, _ in points]
    fills = [colour if row.is_promoted else "white" for row, _ in points]
    axes.scatter(
        _dates(row for row, _ in points),
        [found for _, found in points],
        s=[26 if row.is_promoted else 14 for row, _ in points],
        facecolors=[to_rgba(fill, alpha) for fill, alpha in zip(fills, alphas, strict=True)],
        edgecolors=[to_rgba(colour, alpha) for alpha in alphas],
        linewidths=1.1,
        zorder=3,
    )


def _label(of: PolicySummary) -> str:
    auc = "" if of.auc is None else f", AUC {of.auc:.3f}"
    return f"{of.policy}: {of.n_promoted} champion{'s' if of.n_promoted != 1 else ''}{auc}"


def _title(months: Sequence[WalkedMonth], summaries: Sequence[PolicySummary]) -> str:
    if not months:
        return "Nothing was walked yet"
    what = f"{months[0].source}, default within {months[0].label_window_months} months"
    ranked = sorted((row.auc, row.policy) for row in summaries if row.auc is not None)
    if not ranked:
        return f"{what}: no decision has a label yet"
    if ranked[-1][0] - ranked[0][0] < _EQUAL_AUC:
        return f"{what}: every policy ranks alike, AUC {ranked[-1][0]:.3f}"
    return f"{what}: {ranked[-1][1]} ranks best, AUC {ranked[-1][0]:.3f}, {ranked[0][1]} worst, {ranked[0][0]:.3f}"


def _dates(rows: Iterable[WalkedMonth]) -> NDArray[np.datetime64]:
    return np.array([row.month for row in rows], dtype="datetime64[D]")
