"""Four plots of a candidate, as PNG bytes; without pyplot, so thread-safe and without a display."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from textwrap import fill
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml.judging.evaluation import CANDIDATE, CHAMPION, Evaluation, SplitScores
from ml.judging.metrics import kind_of_split, reliability
from ml.training.fitting import LENDER_RATE, LOGISTIC, TREES
from ml.training.training_set import SPLITS, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#22303c"
FAINT: Final = "#c9d1d8"
_COLOURS: Final = {"train": "#9db4c8", "tune": "#5b8db8", "test": "#12476f"}
_OTHERS: Final = {
    LOGISTIC: ("#c77d2e", "logistic"),
    TREES: ("#3f8f7a", "trees"),
    CHAMPION: ("#7a4fa3", "champion"),
    LENDER_RATE: ("#8a8f3c", "lender's rate"),
}
_BAD: Final = "#b3402f"
_GOOD: Final = "#5b8db8"
_CURVE_POINTS: Final = 1000
#: Of a bold title in 11 points.
_CHARACTERS_PER_INCH: Final = 10.5


def draw_all(evaluation: Evaluation, scores: Mapping[Split, SplitScores]) -> dict[str, bytes]:
    """All plots by name: ``roc``, ``calibration``, ``feature_importance``, ``score_distribution``."""
    return {
        "roc": roc(evaluation, scores),
        "calibration": calibration(evaluation, scores),
        "feature_importance": feature_importance(evaluation),
        "score_distribution": score_distribution(evaluation, scores),
    }


def roc(evaluation: Evaluation, scores: Mapping[Split, SplitScores]) -> bytes:
    """ROC curves of the candidate on each split, and of the other models on test."""
    test = evaluation.overall("test")
    figure, axes = _figure(
        _finding(
            f"On test loans ({_kind(scores)}) the model ranks defaults at AUC", test.auc, test.auc_low, test.auc_high
        )
    )
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    for split in SPLITS:
        _curve(
            axes, scores[split], CANDIDATE, _COLOURS[split], f"{split}  {_figure_text(evaluation.overall(split).auc)}"
        )
    for model, (colour, label) in _OTHERS.items():
        if model in scores["test"].probabilities:
            auc = evaluation.overall("test", model).auc
            _curve(axes, scores["test"], model, colour, f"{label} on test  {_figure_text(auc)}", dashed=True)
    axes.set(xlabel="Share of good loans at or above the score", ylabel="Share of defaults at or above the score")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="lower right", frameon=False, title="AUC", alignment="left")
    return png(figure)


def _kind(scores: Mapping[Split, SplitScores]) -> str:
    return kind_of_split(scores["train"].months, scores["test"].months)


def calibration(evaluation: Evaluation, scores: Mapping[Split, SplitScores]) -> bytes:
    """Default rate against mean probability in bins of equal size, for tune and test."""
    test = evaluation.overall("test")
    figure, axes = _figure(
        f"On test loans ({_kind(scores)}) the model expected {test.mean_probability:.1%} to default; "
        f"{test.default_rate:.1%} did (ECE {_figure_text(test.ece)})"
    )
    top = 0.01
    for split in ("tune", "test"):
        bins = reliability(scores[split].defaulted, scores[split].probabilities[CANDIDATE])
        if not len(bins.n):
            continue
        error = 1.96 * np.sqrt(bins.default_rate * (1 - bins.default_rate) / bins.n)
        low, high = np.clip(bins.default_rate - error, 0, None), bins.default_rate + error
        axes.vlines(bins.mean_probability, low, high, color=_COLOURS[split], linewidth=1, alpha=0.6)
        axes.plot(bins.mean_probability, bins.default_rate, "o-", markersize=4, color=_COLOURS[split], label=split)
        top = max(top, float(high.max()), float(bins.mean_probability.max()))
    axes.plot([0, top], [0, top], color=FAINT, linewidth=1, zorder=0)
    axes.set(xlabel="Mean probability of default in the bin", ylabel="Default rate in the bin (95 % interval)")
    axes.set(xlim=(0, top * 1.04), ylim=(0, top * 1.04))
    percent(axes, "xy")
    axes.legend(loc="upper left", frameon=False)
    return png(figure)


def feature_importance(evaluation: Evaluation, *, most: int = 20) -> bytes:
    """Each feature's share of importance, greatest first."""
    shares = list(evaluation.feature_importance.items())
    shown = [(feature, share) for feature, share in shares if share > 0][:most]
    unused = sum(1 for _, share in shares if share <= 0)
    if shown:
        title = (
            f"{shown[0][0]} carries {shown[0][1]:.0%} of the importance; {unused} of {len(shares)} features are unused"
        )
    else:
        title = f"The model uses none of the {len(shares)} features"
    figure, axes = _figure(title, height=max(2.2, 1.2 + 0.24 * len(shown)))
    names, values = [feature for feature, _ in reversed(shown)], [share for _, share in reversed(shown)]
    bars = axes.barh(names, values, color=_COLOURS["test"], height=0.65)
    axes.bar_label(bars, labels=[f"{share:.1%}" for share in values], padding=4, color=INK, fontsize=8)
    axes.set(xlabel="Share of importance", xlim=(0, max([*values, 0.01]) * 1.12))
    axes.margins(y=0.02)
    percent(axes, "x")
    return png(figure)


def score_distribution(evaluation: Evaluation, scores: Mapping[Split, SplitScores]) -> bytes:
    """Distribution of test probabilities by outcome, with the cut-off."""
    test, metrics = scores["test"], evaluation.overall("test")
    probabilities = test.probabilities[CANDIDATE]
    figure, axes = _figure(
        f"Declining from {metrics.cut_off:.1%} on refuses {metrics.decline_rate:.0%} of test loans "
        f"and {metrics.recall:.0%} of their defaults"
        if len(probabilities) and metrics.n_defaults
        else "Test loans show no default"
    )
    top = float(min(1.0, max(np.quantile(probabilities, 0.999) if len(probabilities) else 0, metrics.cut_off * 1.2)))
    edges = np.linspace(0, top, 41).tolist()
    for defaulted, colour, label in ((False, _GOOD, "repaid"), (True, _BAD, "defaulted")):
        of_class = np.clip(probabilities[test.defaulted == defaulted], 0, top)
        if len(of_class):
            weights = np.full(len(of_class), 1 / len(of_class))
            legend = f"{label}, {len(of_class):,} loans"
            axes.hist(of_class, edges, weights=weights, histtype="stepfilled", alpha=0.25, color=colour)
            axes.hist(of_class, edges, weights=weights, histtype="step", linewidth=1.4, color=colour, label=legend)
    axes.axvline(metrics.cut_off, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"cut-off {metrics.cut_off:.1%}")
    axes.set(xlabel="Probability of default", ylabel="Share of loans with that outcome", xlim=(0, top))
    percent(axes, "xy")
    axes.legend(loc="upper right", frameon=False)
    return png(figure)


def open_figure(
    title: str, *, panels: int = 1, size: tuple[float, float] = (7.2, 4.6)
) -> "tuple[Figure, Sequence[Axes]]":
    """A figure in the house's style; its panels stand one above another and share the horizontal axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    found = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    # matplotlib's own wrapping leaves no room for the second line
    wrapped = "\n".join(fill(line, int(_CHARACTERS_PER_INCH * size[0])) for line in title.splitlines())
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    for axes in found:
        _strip(axes)
    return figure, list(found)


def _strip(axes: "Axes") -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    axes.xaxis.label.set(color=INK, fontsize=9)
    axes.yaxis.label.set(color=INK, fontsize=9)


def _figure(title: str, *, height: float = 4.6) -> "tuple[Figure, Axes]":
    figure, (axes,) = open_figure(title, size=(7.2, height))
    return figure, axes


def _curve(axes: "Axes", scores: SplitScores, model: str, colour: str, label: str, *, dashed: bool = False) -> None:
    if scores.defaulted.all() or not scores.defaulted.any():
        axes.plot([], [], color=colour, label=label)  # the label still says that there is nothing to measure
        return
    false_rate, true_rate = _roc_points(scores.defaulted, scores.probabilities[model])
    style = (0, (4, 2)) if dashed else "solid"
    axes.plot(false_rate, true_rate, color=colour, linewidth=1.2 if dashed else 1.6, linestyle=style, label=label)


def _roc_points(
    defaulted: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates from the riskiest score down, thinned for a plot."""
    order = np.argsort(-probabilities, kind="stable")
    y, p = defaulted[order], probabilities[order]
    ends = np.flatnonzero(np.append(p[1:] != p[:-1], True))
    if len(ends) > _CURVE_POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, _CURVE_POINTS).astype(np.intp)]
    bad = np.cumsum(y)[ends]
    good = ends + 1 - bad
    return np.append(0.0, good / (~y).sum()), np.append(0.0, bad / y.sum())


def percent(axes: "Axes", which: str) -> None:
    """Write shares as percentages along these axes, of "xy"."""
    from matplotlib.ticker import PercentFormatter

    for axis in which:
        (axes.xaxis if axis == "x" else axes.yaxis).set_major_formatter(PercentFormatter(1.0))


def _finding(text: str, value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return f"{text}: not measurable, test loans have one outcome only"
    return f"{text} {value:.3f} ({low:.3f} to {high:.3f})"


def _figure_text(value: float) -> str:
    return "not measurable" if np.isnan(value) else f"{value:.3f}"


def png(figure: "Figure") -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = BytesIO()
    # without date and version: equal figures give equal bytes
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()
