"""How far a month's decisions have moved from the training rows, counted in SQL over every row.

The SQL is built from the feature contract, so new features are monitored without more code. Per feature and month:

- **PSI**, sum over bins of ``(current - reference) * ln(current / reference)``. Numeric bins are the reference's
  deciles; a value that spans two deciles or more has its own bin, so that columns of few values show moves in both
  directions. Categorical bins are the contract's values and ``other``. Missing values are a bin. Shares are ``(n + 0.5)
  / (N + 0.5 * bins)``, so an empty bin stays finite.
- **Kolmogorov-Smirnov** for numeric features, exact over present values; asymptotic p-value, as
  ``scipy.stats.ks_2samp(method="asymp")``.
- **chi-squared** for categorical and boolean features, over present values, without continuity correction.
- the change in the share of missing values.

:class:`ml.monitoring.limits.DriftRule` says from which PSI on there is drift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.monitoring.drift_sql import Cuts, feature_sql, number_sql, read_cuts, reference_months_sql
from ml.monitoring.limits import DriftRule
from ml.monitoring.samples import (
    CURRENT,
    REFERENCE,
    MonitoredModel,
    count,
    decisions_of,
    load_decisions,
    load_reference,
)
from ml.monitoring.tables import replace_months
from warehouse.errors import MonitoringError
from warehouse.features.columns import FeatureColumn, Kind
from warehouse.features.contract import FeatureContract
from warehouse.files.patterns import parquet
from warehouse.lake.connection import connect
from warehouse.settings import Settings

_SCORE = "probability"


@dataclass(frozen=True, kw_only=True)
class _Drift:
    """Measures of features and scores alike.

    ``psi_limit``: above it the month has drifted; None if nothing can tell. ``is_severe``: the PSI is far beyond it.
    """

    month: date
    n_reference: int
    n_current: int
    psi: float
    psi_limit: float | None
    ks: float | None
    ks_p_value: float | None
    is_drifted: bool
    is_severe: bool


@dataclass(frozen=True, kw_only=True)
class FeatureDrift(_Drift):
    """One row of ``monitoring.feature_drift``. Counts include missing values; a statistic of another kind is None.

    ``missing_share_limit``: a greater change of the share of missing values, in either direction, is drift; None for a
    month of too few decisions.
    """

    feature: str
    kind: Kind
    chi2: float | None
    chi2_p_value: float | None
    missing_share_reference: float
    missing_share_current: float
    missing_share_change: float
    missing_share_limit: float | None

    @property
    def is_judged(self) -> bool:
        """Whether the month has enough decisions for a verdict."""
        return self.missing_share_limit is not None

    @property
    def psi_of_limit(self) -> float:
        """PSI as a share of its limit, to compare features; 0 if there is none."""
        return self.psi / self.psi_limit if self.psi_limit else 0.0


@dataclass(frozen=True, kw_only=True)
class ScoreDrift(_Drift):
    """One row of ``monitoring.score_drift``; ``psi_limit`` is None for a month of too few decisions."""

    mean_reference: float
    mean_current: float

    @property
    def is_judged(self) -> bool:
        """Whether the month has enough decisions for a verdict."""
        return self.psi_limit is not None


def record_feature_drift(
    settings: Settings, model: MonitoredModel, contract: FeatureContract, *, reference_snapshot: int
) -> tuple[FeatureDrift, ...]:
    """Compare every feature of every month's decisions with the model's training rows at ``reference_snapshot``.

    Updates ``monitoring.feature_drift``; months with unchanged figures are not rewritten. Raises MonitoringError if the
    snapshot has no training rows of the source.
    """
    with connect(settings) as con:
        load_reference(con, contract, source=model.source, snapshot=reference_snapshot)
        load_decisions(con, contract, model)
        rows = compare_features(con, contract)
    replace_months(settings, "monitoring.feature_drift", model, rows)
    return rows


def record_score_drift(settings: Settings, model: MonitoredModel, *, reference_scores: Path) -> tuple[ScoreDrift, ...]:
    """Compare each month's probabilities with those of the training rows, and update ``monitoring.score_drift``.

    ``reference_scores``: Parquet file with a column ``probability``, one row per training row. Raises MonitoringError
    if it has none. Months with unchanged figures are not rewritten.
    """
    where, parameters = decisions_of(model, None)
    with connect(settings) as con:
        con.execute(
            f"create or replace temp table {REFERENCE} as select {_SCORE}::double as {_SCORE} "
            f"from {parquet(reference_scores)}"
        )
        if count(con, REFERENCE) == 0:
            raise MonitoringError(
                f"score drift is measured against the probabilities of the training rows: {reference_scores} has none"
            )
        con.execute(
            f"create or replace temp table {CURRENT} as "
            f"select date_trunc('month', decided_at)::date as month, {_SCORE} from {model.decisions} where {where}",
            parameters,
        )
        rows = compare_scores(con)
    replace_months(settings, "monitoring.score_drift", model, rows)
    return rows


def compare_features(con: duckdb.DuckDBPyConnection, contract: FeatureContract) -> tuple[FeatureDrift, ...]:
    """Compare the two temporary tables of :mod:`ml.monitoring.samples`, feature by feature and month by month."""
    cuts = read_cuts(con, [feature.name for feature in contract.features if feature.kind == "numeric"])

    of_cohorts = contract.features_made_of("cohort")
    found = []
    for feature in contract.features:
        of_feature = cuts.get(feature.name, Cuts())
        rows, reference_months = _rows(con, feature_sql(feature, of_feature)), None
        if feature.name in of_cohorts:
            reference_months = [row["psi"] for row in _rows(con, reference_months_sql(feature, of_feature))]
        found += [_feature_drift(feature, row, reference_months) for row in rows]
    return tuple(sorted(found, key=lambda drift: drift.month))


def compare_scores(con: duckdb.DuckDBPyConnection) -> tuple[ScoreDrift, ...]:
    """Compare the column ``probability`` of the tables of :mod:`ml.monitoring.samples`, month by month."""
    mean_reference = con.execute(f"select avg({_SCORE}) from {REFERENCE}").fetchall()[0][0]
    means = dict(con.execute(f"select month, avg({_SCORE}) from {CURRENT} group by month").fetchall())
    return tuple(
        ScoreDrift(**_figures(row), mean_reference=mean_reference, mean_current=means[row["month"]])
        for row in _rows(con, number_sql(_SCORE, read_cuts(con, [_SCORE])[_SCORE]))
    )


def score_psi(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """The PSI of two samples of scores, shape (n,) each, as :func:`compare_scores` measures a month's."""
    import pyarrow as pa

    with duckdb.connect() as con:
        for table, scores in ((REFERENCE, reference), (CURRENT, current)):
            con.register("scores", pa.table({_SCORE: scores}))
            con.execute(f"create temp table {table} as select date '2000-01-01' as month, {_SCORE} from scores")
        (drift,) = compare_scores(con)
    return drift.psi


def ks_p_value(ks: float, n_reference: int, n_current: int) -> float:
    """P-value of a Kolmogorov-Smirnov statistic ``ks``, as ``scipy.stats.ks_2samp(method="asymp")``.

    Uses the one-sample distribution at the effective size n * m / (n + m).
    """
    from scipy.stats import kstwo

    effective = max(round(n_reference * n_current / (n_reference + n_current)), 1)
    return float(min(max(kstwo.sf(ks, effective), 0.0), 1.0))


_RULE = DriftRule()


def _feature_drift(
    feature: FeatureColumn, row: Mapping[str, Any], reference_months: Sequence[float] | None
) -> FeatureDrift:
    from scipy.special import chdtrc

    figures = _figures(row, reference_months)
    reference, current = row["n_missing_reference"] / row["n_reference"], row["n_missing_current"] / row["n_current"]
    limit = _RULE.missing_share_limit(reference, current, n_reference=row["n_reference"], n_current=row["n_current"])
    figures["is_drifted"] |= limit is not None and abs(current - reference) > limit
    chi2 = row.get("chi2")
    return FeatureDrift(
        **figures,
        feature=feature.name,
        kind=feature.kind,
        chi2=chi2,
        chi2_p_value=None if chi2 is None else float(chdtrc(row["chi2_freedom"], chi2)),
        missing_share_reference=reference,
        missing_share_current=current,
        missing_share_change=current - reference,
        missing_share_limit=limit,
    )


def _figures(row: Mapping[str, Any], reference_months: Sequence[float] | None = None) -> dict[str, Any]:
    sizes = {name: row[name] for name in ("n_reference", "n_current")}
    ks = row.get("ks")
    limit = _RULE.psi_limit(**sizes, n_bins=row["n_bins"], reference_months=reference_months)
    return {
        **sizes,
        "month": row["month"],
        "psi": row["psi"],
        "psi_limit": limit,
        "ks": ks,
        "ks_p_value": None if ks is None else ks_p_value(ks, row["n_present_reference"], row["n_present_current"]),
        "is_drifted": limit is not None and row["psi"] > limit,
        "is_severe": limit is not None and row["psi"] >= _RULE.severe_times * limit,
    }


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    result = con.execute(statement)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
