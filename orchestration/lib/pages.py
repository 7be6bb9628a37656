"""Figures and plots for Dagster's metadata: Markdown tables, and PNG images inside Markdown."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import dagster as dg

from ml.judging.intervals import IntervalGroup
from ml.walk_forward.results import WalkedMonth
from ml.walk_forward.summary import PolicySummary

#: What fits on a screen beside a name; MLflow's evaluation.json has every figure.
_FIGURES = {"n": ",", "default_rate": ".1%", "auc": ".4f", "ks": ".4f", "brier": ".4f", "ece": ".4f"}
_Row = TypeVar("_Row")
SPLIT_HEADER = ("split · model", *(name.replace("_", " ") for name in _FIGURES))
INTERVAL_HEADER = (
    "score group or month",
    "loans",
    "mean probability",
    "mean interval",
    "default rate",
    "95 %",
    "agrees",
)
MONTH_HEADER = ("month · split", *(name.replace("_", " ") for name in _FIGURES))


def image(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG that the UI shows inline: it is part of the metadata, so it needs no server."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dg.MarkdownMetadataValue:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def records(rows: Iterable[_Row], columns: Mapping[str, Callable[[_Row], str]]) -> dg.MarkdownMetadataValue:
    """A Markdown table of ``columns``: header → text of a row."""
    return table(list(columns), [[text(row) for text in columns.values()] for row in rows])


def split_rows(measured: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The overall figures of every split and model (``measured`` of ``metrics.json``), under :data:`SPLIT_HEADER`."""
    return [
        [
            f"{row['split']} · {row['model'].replace('_', ' ')}",
            *(figure(row[name], form) for name, form in _FIGURES.items()),
        ]
        for row in measured
        if row["month"] is None
    ]


def month_rows(measured: Sequence[Mapping[str, Any]], model: str = "candidate") -> list[list[str]]:
    """One model's figures by month of decision, under :data:`MONTH_HEADER`."""
    return [
        [f"{row['month']} · {row['split']}", *(figure(row[name], form) for name, form in _FIGURES.items())]
        for row in sorted(measured, key=lambda row: row["month"] or "")
        if row["month"] is not None and row["model"] == model
    ]


def interval_rows(groups: Sequence[IntervalGroup]) -> list[list[str]]:
    """Groups of loans with their intervals and what became of them, under :data:`INTERVAL_HEADER`."""
    return [
        [
            row.group,
            f"{row.n:,}",
            figure(row.mean_probability),
            f"{row.mean_low:.4f} to {row.mean_high:.4f}",
            figure(row.default_rate),
            f"{row.rate_low:.4f} to {row.rate_high:.4f}",
            "yes" if row.agrees else "no",
        ]
        for row in groups
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


def walk_summary(policies: Sequence[PolicySummary]) -> dg.MarkdownMetadataValue:
    """The results of each policy of a walk."""
    return records(
        policies,
        {
            "policy": lambda row: row.policy,
            "months": lambda row: str(row.n_months),
            "trained": lambda row: str(row.n_trained),
            "promoted": lambda row: str(row.n_promoted),
            "mature": lambda row: f"{row.n_mature:,}",
            "default rate": lambda row: figure(row.default_rate, ".1%"),
            "gap": lambda row: figure(row.calibration_gap),
            "AUC": lambda row: figure(row.auc),
            "Brier": lambda row: figure(row.brier),
            "ECE": lambda row: figure(row.ece),
        },
    )


def walk_months(months: Sequence[WalkedMonth]) -> dg.MarkdownMetadataValue:
    """Every month of a walk, policy by policy."""
    return records(
        sorted(months, key=lambda row: (row.month, row.policy)),
        {
            "month": lambda row: f"{row.month:%Y-%m}",
            "policy": lambda row: row.policy,
            "champion of": lambda row: f"{row.champion_month:%Y-%m}" if row.champion_month else "–",
            "decisions": lambda row: f"{row.n_decisions:,}",
            "mature": lambda row: f"{row.n_mature or 0:,}",
            "AUC": lambda row: figure(row.auc),
            "gap": lambda row: figure(row.calibration_gap),
            "score PSI": lambda row: figure(row.score_psi),
            "new champion": lambda row: "yes" if row.is_promoted else "no",
            "why": lambda row: row.why,
        },
    )


def figure(value: float | None, form: str = ".4f") -> str:
    """The value in a format, or a dash if there is no figure."""
    return "–" if value is None else format(value, form)
