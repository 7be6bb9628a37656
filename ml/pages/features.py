"""Drift of each feature by month: the heat map, and both distributions of one feature in one month."""

import json
from collections.abc import Sequence
from datetime import date
from urllib.parse import urlencode

import msgspec

from ml.figures.shapes import Bars, Cell, Figure, Heat, HeatRow, Line, Lines, Missing, Note
from ml.pages.document import Section
from ml.pages.reading import Row, Tables, by_month, months_of, names_of

#: Features and months of the lender's versions in service, beside its page.
FEATURES = "features"
#: Months of the drift map; a feature's own page has all.
_MOST_MONTHS = 24
Bins = Sequence[tuple[str, int, int]]


class FeatureMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``monitoring.feature_drift``. ``missing_then``, ``missing``: shares of training rows and decisions."""

    month: str
    psi: float
    psi_limit: float | None
    ks: float | None
    ks_limit: float | None
    missing_then: float | None
    missing: float | None
    missing_limit: float | None
    is_drifted: bool
    is_severe: bool
    bins: Bins


class FeatureMonths(msgspec.Struct, frozen=True):
    """The measured months of a feature, ascending."""

    feature: str
    months: Sequence[FeatureMonth]

    def at(self, month: str) -> FeatureMonth | None:
        """A month, if it was measured."""
        return next((each for each in self.months if each.month == month), None)


def read_features(tables: Tables, version: Row) -> list[FeatureMonths]:
    """Each feature of a version; those that have moved most in the newest judged month first."""
    rows = tables.rows(
        "select feature, month, psi, psi_limit, ks, ks_limit, missing_share_reference as missing_then, "
        "missing_share_current as missing, missing_share_limit as missing_limit, is_drifted, is_severe, bins "
        "from monitoring.feature_drift "
        "where source = $source and model_name = $model_name and model_version = $model_version "
        "and month <= $until::date order by month",
        **version,
    )
    found: dict[str, list[FeatureMonth]] = {}
    for row in rows:
        month = FeatureMonth(
            **{name: value for name, value in row.items() if name not in ("feature", "month", "bins")},
            month=f"{row['month']:%Y-%m}",
            bins=json.loads(row["bins"]),
        )
        found.setdefault(row["feature"], []).append(month)
    features = [FeatureMonths(feature, months) for feature, months in found.items()]
    newest = newest_judged(features)
    return sorted(features, key=lambda each: (*_calmness(each.at(newest)), each.feature))


def newest_judged(features: Sequence[FeatureMonths]) -> str:
    """The newest month of enough decisions to be judged; without any, the newest; empty if none was measured."""
    months = [month for each in features for month in each.months]
    judged = [month.month for month in months if month.psi_limit is not None]
    return max(judged or [month.month for month in months], default="")


def _calmness(month: FeatureMonth | None) -> tuple[bool, float]:
    return (True, 0.0) if month is None else (not month.is_drifted, -_times(month))


def heat_map(features: Sequence[FeatureMonths], source: str) -> Figure:
    """Feature × month; each feature and each cell leads to the distributions."""
    months = sorted({month.month for each in features for month in each.months})
    if not months:
        return Missing("No drift was measured: no month has decisions of this version.", f"loanlake run {source}")
    columns = list(reversed(months))[:_MOST_MONTHS]
    return Heat(
        name="drift-map",
        title="Drift by month",
        about="Population stability index (PSI) against the training rows. Colours compare it with the feature's "
        "limit of the month: below half of it, up to it, above it (▲), several times above (▲, darker). A feature has "
        "also drifted if its share of missing values moved too far. Newest month first, and first what moved most."
        + (f" The newest {_MOST_MONTHS} of {len(months)} months." if len(months) > _MOST_MONTHS else ""),
        columns=columns,
        row_title="Feature",
        rows=[_heat_row(each, columns, source) for each in features],
    )


def drifted_of(features: Sequence[FeatureMonths], month: str) -> list[FeatureMonths]:
    """The features that have drifted in a month."""
    return [each for each in features if (found := each.at(month)) is not None and found.is_drifted]


def feature_section(each: FeatureMonths, asked: str | None) -> Section:
    """Both distributions of a feature in a month, the newest unless named, and its index by month."""
    found = next((month for month in each.months if month.month == asked), each.months[-1])
    figures: list[Figure] = [distributions(each.feature, found), _index(each)]
    if asked and found.month != asked:
        figures.insert(0, Note(f"{asked} was not measured: {found.month} is shown."))
    return Section("distributions", found.month, figures, f"{_verdict(found)}.")


def distributions(feature: str, month: FeatureMonth) -> Figure:
    """Reference against month, by the bins that the index is of."""
    return two_distributions(
        f"bins-{feature}", f"{feature}, {month.month} against the training rows", month.bins, month.month
    )


def two_distributions(name: str, title: str, bins: Bins, month: str) -> Bars:
    """The shares of the reference's rows and of a month's decisions in each bin."""
    n_reference = sum(then for _, then, _ in bins) or 1
    n_month = sum(now for _, _, now in bins) or 1
    return Bars(
        name=name,
        title=title,
        about=f"{n_reference:,} training rows, {n_month:,} decisions. A number's bins are tenths of the training rows.",
        names=[bin_name for bin_name, _, _ in bins],
        name_title="Bin",
        form="share",
        lines=[
            Line(name="training rows", values=[then / n_reference for _, then, _ in bins], tone=5),
            Line(name=month, values=[now / n_month for _, _, now in bins], tone=0),
        ],
    )


def _index(each: FeatureMonths) -> Lines:
    rows = [{"month": _month(month.month), "psi": month.psi, "limit": month.psi_limit} for month in each.months]
    months = months_of(rows)
    return Lines(
        name=f"psi-{each.feature}",
        title=f"{each.feature}: stability index by month",
        places=names_of(months),
        form="index",
        from_zero=True,
        lines=[
            Line(name="PSI", values=by_month(rows, months, "psi")),
            Line(name="limit", values=by_month(rows, months, "limit"), kind="dashed", tone=4),
        ],
    )


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _heat_row(each: FeatureMonths, columns: Sequence[str], source: str) -> HeatRow:
    by_name = {month.month: month for month in each.months}
    cells = [_cell(each.feature, by_name[column], source) if column in by_name else None for column in columns]
    return HeatRow(each.feature, cells, href=_address(source, each.feature))


def _cell(feature: str, month: FeatureMonth, source: str) -> Cell:
    level = 4 if month.is_severe else 3 if month.is_drifted else 2 if _times(month) >= 0.5 else 0
    return Cell(
        f"{month.psi:.2f}",
        level,
        f"{feature}, {month.month}: {_verdict(month)}",
        _address(source, feature, month.month),
    )


def _times(month: FeatureMonth) -> float:
    return month.psi / month.psi_limit if month.psi_limit else 0.0


def _verdict(month: FeatureMonth) -> str:
    """The index with its limit, and each other figure that made it drift."""
    if month.psi_limit is None:
        return f"PSI {month.psi:.3f}, not judged: too few decisions or training rows"
    found = [f"PSI {month.psi:.3f}, limit {month.psi_limit:.3f}"]
    if month.ks is not None and month.ks_limit is not None and month.ks > month.ks_limit:
        found.append(f"Kolmogorov-Smirnov distance {month.ks:.3f}, limit {month.ks_limit:.3f}")
    change = None if month.missing is None or month.missing_then is None else abs(month.missing - month.missing_then)
    if change is not None and month.missing_limit is not None and change > month.missing_limit:
        found.append(
            f"missing in {month.missing:.1%} of the decisions and {month.missing_then:.1%} of the training rows, which "
            f"may differ by {month.missing_limit:.1%}"
        )
    return "; ".join(found) + (": has drifted" if month.is_drifted else "")


def _address(source: str, feature: str, month: str | None = None) -> str:
    asked = {"lender": source, "feature": feature} | ({"month": month} if month else {})
    return f"/monitoring?{urlencode(asked)}"
