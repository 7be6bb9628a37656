"""Figures and plots for Dagster's metadata: Markdown tables, and PNG images inside Markdown."""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from ml.walk_forward.results import WalkedMonth
    from ml.walk_forward.summary import PolicySummary

#: What fits on a screen beside a name; MLflow's evaluation.json has every figure.
_FIGURES = ("n", "default_rate", "auc", "ks", "brier", "ece")
SPLIT_HEADER = ("split · model", *(name.replace("_", " ") for name in _FIGURES))
MONTH_HEADER = ("month · split", *(name.replace("_", " ") for name in _FIGURES))


def image(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG that the UI shows inline: it is part of the metadata, so it needs no server."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dg.MarkdownMetadataValue:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def split_rows(measured: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The overall figures of every split and model (``measured`` of ``metrics.json``), under :data:`SPLIT_HEADER`."""
    return [
        [f"{row['split']} · {row['model'].replace('_', ' ')}", *(_figure(name, row[name]) for name in _FIGURES)]
        for row in measured
        if row["month"] is None
    ]


def month_rows(measured: Sequence[Mapping[str, Any]], model: str = "candidate") -> list[list[str]]:
    """One model's figures by month of decision, under :data:`MONTH_HEADER`."""
    return [
        [f"{row['month']} · {row['split']}", *(_figure(name, row[name]) for name in _FIGURES)]
        for row in sorted(measured, key=lambda row: row["month"] or "")
        if row["month"] is not None and row["model"] == model
    ]


def confusion(figures: Mapping[str, Any]) -> dg.MarkdownMetadataValue:
    """The confusion matrix at the cut-off, of one row of ``measured``."""
    return table(
        [f"cut-off {figures['cut_off']:.4f}", "defaulted", "repaid"],
        [
            ["declined", f"{figures['true_positives']:,}", f"{figures['false_positives']:,}"],
            ["approved", f"{figures['false_negatives']:,}", f"{figures['true_negatives']:,}"],
        ],
    )


def walk_summary(policies: "Sequence[PolicySummary]") -> dg.MarkdownMetadataValue:
    """The results of each policy of a walk."""
    header = ["policy", "months", "trained", "promoted", "mature", "default rate", "gap", "AUC", "Brier", "ECE"]
    return table(
        header,
        [
            [
                row.policy,
                str(row.n_months),
                str(row.n_trained),
                str(row.n_promoted),
                f"{row.n_mature:,}",
                _figure("default_rate", row.default_rate),
                *(figure(value) for value in (row.calibration_gap, row.auc, row.brier, row.ece)),
            ]
            for row in policies
        ],
    )


def walk_months(months: "Sequence[WalkedMonth]") -> dg.MarkdownMetadataValue:
    """Every month of a walk, policy by policy."""
    header = ["month", "policy", "champion of", "decisions", "mature", "AUC", "gap", "score PSI", "new champion", "why"]
    return table(
        header,
        [
            [
                f"{row.month:%Y-%m}",
                row.policy,
                f"{row.champion_month:%Y-%m}" if row.champion_month else "–",
                f"{row.n_decisions:,}",
                f"{row.n_mature or 0:,}",
                *(figure(value) for value in (row.auc, row.calibration_gap, row.score_psi)),
                "yes" if row.is_promoted else "no",
                row.why,
            ]
            for row in sorted(months, key=lambda row: (row.month, row.policy))
        ],
    )


def figure(value: float | None) -> str:
    """Four decimals, or a dash if there is no figure."""
    return "–" if value is None else f"{value:.4f}"


def _figure(name: str, value: float | None) -> str:
    if value is not None and name in ("n", "default_rate"):
        return f"{value:,}" if name == "n" else f"{value:.1%}"
    return figure(value)
