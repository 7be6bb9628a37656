"""Profit by cut-off as one PNG."""

from ml.judging.plots import FAINT, INK, open_figure, percent, png
from ml.policy_advice.curve import ProfitCurve


def draw_curve(curve: ProfitCurve, *, in_force: float, best: float) -> bytes:
    """Profit per application by cut-off with its 95 % interval, the cut-off in force, and the one that earned most."""
    figure, (axes,) = open_figure(f"Profit per application by cut-off, on {curve.n:,} matured loans")
    cut_offs, profits, lows, highs = curve.drawn()
    axes.fill_between(cut_offs, lows, highs, color=FAINT, linewidth=0)
    axes.plot(cut_offs, profits, color="#12476f", linewidth=1.6)
    axes.axhline(0, color=INK, linewidth=0.8)
    for cut_off, label, colour in ((in_force, "in force", INK), (best, "earned most", "#c77d2e")):
        axes.axvline(cut_off, color=colour, linewidth=1, linestyle="dashed", label=f"{label}: {cut_off:.3f}")
    axes.legend(frameon=False, fontsize=9)
    axes.set(xlabel="Cut-off", ylabel="Profit, of the amount lent")
    percent(axes, "y")
    return png(figure)
