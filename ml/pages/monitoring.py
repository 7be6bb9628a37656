"""The page of monitoring: performance estimated and true, drift, scores, calibration."""

import json
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ml.figures.forms import written
from ml.figures.shapes import Bars, Figure, Form, Line, Lines, Missing, Table
from ml.judging.intervals import wilson
from ml.pages.document import Section
from ml.pages.features import FeatureMonths, drifted_of, heat_map, newest_judged, two_distributions
from ml.pages.reading import Row, Tables, by_month, months_of, names_of
from ml.registry.deployment import Challenger

#: What is drawn of ``monitoring.performance_estimates``.
METRICS: dict[str, tuple[str, Form]] = {
    "auc": ("AUC", "index"),
    "default_rate": ("Default rate", "share"),
    "ks": ("KS", "index"),
    "brier": ("Brier score", "index"),
    "precision": ("Precision of declines", "share"),
    "recall": ("Recall of declines", "share"),
}
_Z95 = 1.959963984540054


def monitoring_sections(tables: Tables, version: Row, features: Sequence[FeatureMonths]) -> list[Section]:
    """All sections about one version."""
    estimates = tables.rows(_ESTIMATES, **version)
    return [
        Section(
            "performance",
            "Performance, estimated and true",
            _performance(estimates, tables.rows(_PERFORMANCE, **version), tables.source),
            "Lines estimate each month's performance before its labels are mature: CBPE from calibrated probabilities, "
            "PAPE calibrated on reference loans weighted like the month's applicants. Areas are 95 % intervals. Points "
            "are true values, of the decisions whose labels are mature; fewer, and none of the newest months. "
            "Neither method sees that equal applicants have become riskier.",
        ),
        Section(
            "grades",
            "How good the estimates were",
            [_grades(tables.rows(_GRADES, **version), tables.source)],
            "Estimates of months after the reference loans, whose labels are mature by now; also of earlier champions, "
            "each month once. About as many intervals as their level should hold the true value: where fewer "
            "do, read the estimates above with care.",
        ),
        Section("drift", "Drift of the features", [heat_map(features, tables.source)]),
        Section("scores", "Scores", _scores(tables.rows(_SCORES, **version), tables.source)),
        Section(
            "calibration",
            "Calibration",
            _calibration(tables.rows(_BANDS, **version), tables.rows(_PERFORMANCE, **version), tables.source),
            "Whether as many loans defaulted as the probabilities say, on decisions with mature labels.",
        ),
    ]


def trial_section(tables: Tables, challenger: Challenger) -> Section:
    """Performance of a version on trial; a shadow's is of decisions that no caller got."""
    deployment = challenger.deployment
    version = {"model_name": deployment.model_name, "model_version": deployment.model_version}
    estimates, measured = tables.rows(_ESTIMATES, **version), tables.rows(_PERFORMANCE, **version)
    months = months_of([*estimates, *measured])
    how = "in shadow" if challenger.share is None else f"answering {challenger.share:.0%} of the applicants"
    figures: list[Figure] = [
        replace(_metric(name, estimates, measured, months), name=f"trial-{name}") for name in ("auc", "default_rate")
    ]
    if not months:
        figures = [Missing("Nothing of it was estimated or measured yet.", f"loanlake run {tables.source}")]
    return Section("trial", f"On trial: version {deployment.model_version}, {how}", figures)


def monitoring_summary(features: Sequence[FeatureMonths]) -> str:
    """One sentence about the newest month of enough decisions to be judged."""
    month = newest_judged(features)
    if not month:
        return "Nothing was measured yet."
    return f"{month}: {len(drifted_of(features, month))} of {len(features)} features have drifted."


def auc_interval(auc: float, n_defaults: int, n_others: int) -> tuple[float, float]:
    """95 % interval of an AUC from it and the classes' sizes (Hanley and McNeil, Radiology 143 (1982) 29–36).

    >>> tuple(round(end, 3) for end in auc_interval(0.75, 100, 900))
    (0.693, 0.807)
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_defaults - 1) * (q1 - auc**2) + (n_others - 1) * (q2 - auc**2)
    half = _Z95 * (max(spread, 0.0) / (n_defaults * n_others)) ** 0.5
    return max(auc - half, 0.0), min(auc + half, 1.0)


def _performance(estimates: Sequence[Row], measured: Sequence[Row], source: str) -> list[Figure]:
    if not estimates and not measured:
        return [
            Missing(
                "No performance was estimated or measured: that needs 300 decisions in a month, or mature labels.",
                f"loanlake run {source}",
            )
        ]
    months = months_of([*estimates, *measured])
    found: list[Figure] = [_metric(name, estimates, measured, months) for name in METRICS]
    pooled = [row for row in estimates if row["metric"] == "pooled_default_rate"]
    if pooled:
        found.append(_pooled(pooled))
    so_far = [row for row in estimates if row["metric"] == "defaults_so_far"]
    if so_far:
        found.append(_so_far(so_far))
    return found


def _metric(name: str, estimates: Sequence[Row], measured: Sequence[Row], months: Sequence[Any]) -> Lines:
    title, form = METRICS[name]
    of_metric = [row for row in estimates if row["metric"] == name]
    methods = {method: [row for row in of_metric if row["method"] == method] for method in ("cbpe", "pape")}
    lines = [
        Line(
            name=method.upper(),
            values=by_month(rows, months, "estimated"),
            low=by_month(rows, months, "low") if method == "cbpe" else (),
            high=by_month(rows, months, "high") if method == "cbpe" else (),
            kind="line" if method == "cbpe" else "dashed",
            tone=0 if method == "cbpe" else 2,
        )
        for method, rows in methods.items()
        if rows
    ]
    limits = by_month(methods["cbpe"], months, "estimated_limit")
    if any(limit is not None for limit in limits):
        lines.append(Line(name="limit", values=limits, kind="dashed", tone=4))
    lines.append(_truth(name, of_metric, measured, months))
    untrusted = any(row["is_trusted"] is False for row in of_metric)
    about = "The estimates missed the truth too often: do not rely on them." if untrusted else ""
    return Lines(name=f"performance-{name}", title=title, about=about, places=names_of(months), lines=lines, form=form)


def _truth(name: str, estimates: Sequence[Row], measured: Sequence[Row], months: Sequence[Any]) -> Line:
    """The true values, with an interval where one follows from the counts."""
    rows = (
        measured
        if name in ("auc", "default_rate", "ks", "brier")
        else [{**row, name: row["true_value"]} for row in estimates]
    )
    values = by_month(rows, months, name)
    ends: dict[Any, tuple[float, float]] = {}
    for row in measured:
        n_defaults, n_others = row["n_defaults"], row["n_mature"] - row["n_defaults"]
        if name == "default_rate":
            ends[row["month"]] = wilson(n_defaults, row["n_mature"])
        elif name == "auc" and row["auc"] is not None and n_defaults and n_others:
            ends[row["month"]] = auc_interval(row["auc"], n_defaults, n_others)
    low = [ends.get(month, (None, None))[0] for month in months] if ends else ()
    high = [ends.get(month, (None, None))[1] for month in months] if ends else ()
    return Line(name="true, of mature labels", values=values, low=low, high=high, kind="points", tone=1)


def _grades(rows: Sequence[Row], source: str) -> Figure:
    if not rows:
        return Missing(
            "No estimate was graded yet: no month after the reference loans has mature labels. "
            "Until then nothing shows whether the estimates hold. Once new outcomes are there, this loads them:",
            f"loanlake run {source} FILES",
        )
    return Table(
        name="estimate-grades",
        title="Estimates against what became true",
        header=["Figure", "Method", "Months", "Intervals that held", "Level", "Mean error", "Mean distance"],
        rows=[
            [
                METRICS.get(row["metric"], (row["metric"].replace("_", " "), "index"))[0],
                row["method"].upper(),
                f"{row['n_months']:,}",
                f"{row['coverage']:.0%}",
                f"{row['level']:.0%}",
                f"{row['mean_error']:+.3f}",
                f"{row['mean_distance']:.3f}",
            ]
            for row in rows
        ],
    )


def _pooled(rows: Sequence[Row]) -> Lines:
    months = months_of(rows)
    low, high, limit = (by_month(rows, months, name) for name in ("low", "high", "estimated_limit"))
    return Lines(
        name="performance-pooled",
        title="Default rate of small months together",
        about="Each month of few decisions together with up to two before it: a rise that stays stands out.",
        places=names_of(months),
        form="share",
        lines=[
            Line(name="CBPE", values=by_month(rows, months, "estimated"), low=low, high=high, tone=0),
            Line(name="limit", values=limit, kind="dashed", tone=4),
        ],
    )


def _so_far(rows: Sequence[Row]) -> Lines:
    months = months_of(rows)
    return Lines(
        name="defaults-so-far",
        title="Defaults so far",
        about="Defaults by now of loans observed for a part of their window, and how many were expected.",
        places=names_of(months),
        form="count",
        from_zero=True,
        lines=[
            Line(
                name="expected",
                values=by_month(rows, months, "estimated_mature"),
                low=by_month(rows, months, "low_mature"),
                high=by_month(rows, months, "high_mature"),
            ),
            Line(name="counted", values=by_month(rows, months, "true_value"), kind="points", tone=1),
        ],
    )


def _scores(rows: Sequence[Row], source: str) -> list[Figure]:
    if not rows:
        return [Missing("No score was measured yet.", f"loanlake run {source}")]
    months, newest = months_of(rows), rows[-1]
    month = f"{newest['month']:%Y-%m}"
    return [
        two_distributions(
            "scores-bins", f"Probabilities of {month} against the training rows", json.loads(newest["bins"]), month
        ),
        Lines(
            name="scores-psi",
            title="Stability index of the scores",
            places=names_of(months),
            form="index",
            from_zero=True,
            lines=[
                Line(name="PSI", values=by_month(rows, months, "psi")),
                Line(name="limit", values=by_month(rows, months, "psi_limit"), kind="dashed", tone=4),
            ],
        ),
        Lines(
            name="scores-mean",
            title="Mean probability of default",
            places=names_of(months),
            form="share",
            lines=[
                Line(name="month", values=by_month(rows, months, "mean_current")),
                Line(name="training rows", values=by_month(rows, months, "mean_reference"), kind="dashed", tone=5),
            ],
        ),
    ]


def _calibration(bands: Sequence[Row], measured: Sequence[Row], source: str) -> list[Figure]:
    mature = [row for row in bands if row["n_mature"]]
    if not mature:
        return [
            Missing(
                "No decision has a mature label yet: wait until loans have, and load their outcomes.",
                f"loanlake run {source} FILES",
            )
        ]
    rates = [wilson(row["n_defaults"], row["n_mature"]) for row in mature]
    months = months_of(measured)
    by_band = Bars(
        name="calibration-bands",
        title="Predicted and observed by risk band",
        about="Of all months with mature labels; the whisker is the observed rate's 95 % interval.",
        names=[row["band"].replace("_", " ") for row in mature],
        name_title="Band",
        form="share",
        lines=[
            Line(name="predicted", values=[row["expected_defaults"] / row["n_mature"] for row in mature], tone=5),
            Line(
                name="observed",
                values=[row["n_defaults"] / row["n_mature"] for row in mature],
                low=[low for low, _ in rates],
                high=[high for _, high in rates],
                tone=1,
            ),
        ],
    )
    counts = Table(
        name="calibration-counts",
        title="Loans behind it",
        header=["Band", "Mature decisions", "Defaults", "Expected defaults"],
        rows=[
            [
                row["band"].replace("_", " "),
                f"{row['n_mature']:,}",
                f"{row['n_defaults']:,}",
                written(row["expected_defaults"], "count"),
            ]
            for row in mature
        ],
    )
    if not months:
        return [by_band, counts]
    over_time = Lines(
        name="calibration-months",
        title="Predicted and observed by month",
        places=names_of(months),
        form="share",
        lines=[
            Line(name="predicted", values=by_month(measured, months, "mean_probability"), tone=5),
            _truth("default_rate", (), measured, months),
        ],
    )
    return [by_band, over_time, counts]


_VERSION = "source = $source and model_name = $model_name and model_version = $model_version and month <= $until::date"
_ESTIMATES = f"""
select month, metric, method, estimated, low, high, estimated_limit, estimated_mature, low_mature, high_mature,
    true_value, is_trusted
from monitoring.performance_estimates where {_VERSION} order by month
"""
_PERFORMANCE = f"""
select month, n_mature, n_defaults, default_rate, mean_probability, auc, ks, brier
from monitoring.model_performance where {_VERSION} and n_mature > 0 order by month
"""
# as monitoring.estimate_grades, but of all horizons, up to a month, and of the champions before, each month once
_GRADES = """
with graded as (
    select *, row_number() over (partition by metric, method, month order by model_version desc) as place
    from monitoring.performance_estimates
    where source = $source and model_name = $model_name and model_version <= $model_version
        and month <= $until::date and is_covered is not null and role in ('champion', 'replaced')
)
select metric, method, level, count(*) as n_months, avg(is_covered::int) as coverage,
    avg(estimated_mature - true_value) as mean_error, avg(abs(estimated_mature - true_value)) as mean_distance
from graded where place = 1
group by metric, method, level order by metric, method, level
"""
_SCORES = f"""
select month, psi, psi_limit, mean_reference, mean_current, bins
from monitoring.score_drift where {_VERSION} order by month
"""
_BANDS = f"""
select band, min(band_number) as place, sum(n_mature)::bigint as n_mature, sum(n_defaults)::bigint as n_defaults,
    sum(expected_defaults) as expected_defaults
from portfolio.bands where {_VERSION} group by band order by place, band
"""
