"""The limits of monitoring, and that alerts follow them: no other place decides what is drift or decay."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from ml.monitoring.drift import record_feature_drift, record_score_drift
from ml.monitoring.limits import DriftRule, PerformanceRule, SkewKind
from ml.monitoring.performance import record_performance
from ml.monitoring.skew_sql import ANY, Tally, rows_of
from ml.monitoring.tables import replace_months
from tests.unit.ml.decisions_lake import CONTRACT, MODEL, Bank
from warehouse.settings import DBT_PROJECT_DIR

TESTED_LOW = 0.68


@pytest.mark.parametrize(
    ("rule", "n_current", "limit"),
    [
        (DriftRule(), 2_000, None),
        (DriftRule(ks=0.1), 2_000, 0.1),
        (DriftRule(ks=0.1), 99, None),
        # 1.628 times the root of 1/100 + 1/10,000
        (DriftRule(ks=0.1), 100, pytest.approx(0.16361, abs=1e-5)),
    ],
)
def test_a_distance_is_drift_only_by_its_rule_and_beyond_chance(
    rule: DriftRule, n_current: int, limit: float | None
) -> None:
    assert rule.ks_limit(n_reference=10_000, n_current=n_current) == limit


@pytest.mark.parametrize(
    ("auc", "auc_high", "drop", "is_decayed"),
    [
        # tested at .80 with a lower end of .76: the floor by the test is .74, by a drop of 5 % .76
        (0.75, 0.79, 0.05, True),
        (0.75, 0.81, 0.05, False),
        (0.77, 0.79, 0.05, False),
        (0.75, 0.79, None, False),
    ],
)
def test_a_drop_of_the_auc_is_decay_where_the_months_own_interval_shows_it(
    auc: float, auc_high: float, drop: float | None, is_decayed: bool
) -> None:
    month = {"n_mature": 900, "n_defaults": 90, "default_rate": 0.1, "mean_probability": 0.1}

    found = PerformanceRule(auc_drop=drop).judge(auc=auc, auc_high=auc_high, tested_auc=0.8, tested_low=0.76, **month)

    assert found.is_decayed == is_decayed


def test_a_high_psi_of_a_few_decisions_is_noise() -> None:
    """Ten decisions in eleven bins give a PSI near one without any drift."""
    rule = DriftRule(min_decisions=10)

    assert rule.psi_limit(n_reference=10_000, n_current=10, n_bins=11) > 1
    assert rule.psi_limit(n_reference=10_000, n_current=1_000, n_bins=11) == 0.2


def test_the_limits_can_be_set() -> None:
    sizes = {"n_reference": 10_000, "n_current": 10_000}

    assert DriftRule(psi=0.1).psi_limit(n_bins=11, **sizes) == 0.1
    assert DriftRule().missing_share_limit(0.0, 0.08, **sizes) == 0.1
    assert DriftRule(missing_share_change=0.05).missing_share_limit(0.0, 0.08, **sizes) == 0.05


def test_the_limit_of_a_shared_rate_is_the_second_greatest_of_forty_months() -> None:
    """One of 20 months may be as far by chance, the month asked about counted: two of 41."""
    limits = [n / 100 for n in range(30, 70)]
    sizes = {"n_reference": 4_000, "n_current": 1_000, "n_bins": 11}

    assert DriftRule().psi_limit(**sizes, reference_months=limits) == 0.68
    assert DriftRule().psi_limit(**sizes, reference_months=limits[:19]) == 0.48
    assert DriftRule().psi_limit(**sizes, reference_months=limits[:18]) is None


@pytest.mark.parametrize(
    ("month", "is_decayed", "is_severe"),
    [
        ({}, False, False),
        ({"auc": 0.66}, False, False),
        ({"auc": 0.65}, True, False),
        ({"auc": 0.54}, True, True),
        ({"auc": None}, False, False),
        ({"default_rate": 0.15}, False, False),
        ({"default_rate": 0.16}, True, True),
    ],
)
def test_a_month_has_decayed_by_its_auc_or_its_default_rate(
    month: dict[str, Any], is_decayed: bool, is_severe: bool
) -> None:
    """Tested at .70 with a lower end of .68: decayed below .66, severely below .55 or at 1.5 times the defaults."""
    sizes = {"n_mature": 300, "n_defaults": 50}
    figures = {"auc": 0.70, "default_rate": 0.10, "mean_probability": 0.10} | month

    found = PerformanceRule().judge(**sizes, **figures, tested_low=TESTED_LOW)

    assert found == (pytest.approx(0.66), pytest.approx(0.15), is_decayed, is_severe)


@pytest.mark.parametrize("sizes", [{"n_mature": 299, "n_defaults": 60}, {"n_mature": 900, "n_defaults": 49}])
def test_a_month_with_few_outcomes_is_not_judged(sizes: dict[str, int]) -> None:
    found = PerformanceRule().judge(**sizes, auc=0.5, default_rate=0.9, mean_probability=0.1, tested_low=TESTED_LOW)

    assert found == (None, None, False, False)


#: The parts of monitoring.alerts that are made of measured months, by the table that they read.
MEASURED = {
    "feature_drift": "feature_drift",
    "feature_distance": "feature_drift",
    "missing_values": "feature_drift",
    "score_drift": "score_drift",
    "score_distance": "score_drift",
    "feature_skew": "feature_skew",
    "discrimination": "model_performance",
    "level": "model_performance",
}


def _alerts() -> dict[str, exp.Expression]:
    """The queries of ``monitoring.alerts`` by name; a variable of the project would stop the rendering."""
    text = (DBT_PROJECT_DIR / "models" / "monitoring" / "alerts.sql").read_text()
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    sql = template.render(
        source=lambda schema, table: f"{schema}.{table}",
        ref=lambda model: model,
        is_misdated=lambda *_: "true",
        month_of=lambda moment: moment,
        share_ended_with_their_term=lambda: "0.0",
        dbt={"type_string": lambda: "varchar"},
    )
    return {cte.alias: cte.this for cte in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.CTE)}


def test_alerts_hold_no_threshold_of_their_own() -> None:
    alerts = _alerts()

    numbers = {name: [str(each) for each in alerts[name].find_all(exp.Literal) if each.is_number] for name in MEASURED}

    assert not any(numbers.values())


def test_a_month_is_an_alert_exactly_where_it_was_judged_beyond_its_limits(bank: Bank, tmp_path: Path) -> None:
    """Small months raised alerts of missing values while ``is_drifted`` was false."""
    generator, sizes = np.random.default_rng(5), [1, 5, 20, 50, 99, 100, 101, 150, 400, 1_000]
    reference = [_loan(generator) for _ in range(2_000)]
    snapshot = bank.train(reference)
    pq.write_table(pa.table({"probability": generator.beta(2, 8, 2_000)}), tmp_path / "scores.parquet")
    months = [date(2020 + n // 12, n % 12 + 1, 1) for n in range(2 * len(sizes))]
    labels: dict[str, bool] = {}
    for month, (size, is_moved) in zip(months, [(n, moved) for moved in (False, True) for n in sizes], strict=True):
        loans = [_loan(generator, moved=is_moved) for _ in range(size)]
        p = generator.beta(4 if is_moved else 2, 8, size)
        ids = [f"{month}-{n}" for n in range(size)]
        moment = datetime(month.year, month.month, 5)
        bank.decide(moment, loans, probability=p.tolist(), application_ids=ids)
        defaulted = generator.uniform(size=size) < (generator.permutation(p) * 2 if is_moved else p)
        labels |= dict(zip(ids, defaulted.tolist(), strict=True))
    bank.label(labels)
    of_skew: tuple[tuple[SkewKind, str, int], ...] = (
        ("logged_features", "purpose", 1), ("history_freshness", ANY, 60), ("history_freshness", "purpose", 60),
    )  # fmt: skip
    skew = [
        row
        for n, month in zip(sizes, months, strict=False)
        for kind, column, percent in of_skew
        for row in rows_of(
            {(month, column): Tally(n_decisions=n, n_different=-(-n * percent // 100))}, kind, lake_snapshot=snapshot
        )
    ]

    rule = DriftRule(ks=0.1)
    features = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot, rule=rule)
    scores = record_score_drift(bank.settings, MODEL, reference_scores=tmp_path / "scores.parquet", rule=rule)
    performance = record_performance(bank.settings, MODEL, tested_low=TESTED_LOW)
    replace_months(bank.settings, "monitoring.feature_skew", MODEL, skew)

    found = {
        name: {row[0] for row in bank.query(f"select raised_for from ({query.sql('duckdb')})")}
        for name, query in _alerts().items()
        if name in MEASURED
    }
    large = {month for month, size in zip(months, sizes * 2, strict=True) if size >= 100}
    drifted = {row.month for row in features if row.is_drifted}
    assert found["feature_drift"] | found["feature_distance"] | found["missing_values"] == drifted
    assert found["score_drift"] | found["score_distance"] == {row.month for row in scores if row.is_drifted}
    assert found["discrimination"] | found["level"] == {row.month for row in performance if row.is_decayed}
    assert found["feature_drift"] | found["missing_values"] | found["score_drift"] <= large
    assert found["discrimination"] | found["level"] <= {row.month for row in performance if row.n_mature >= 300}
    assert found["feature_skew"] == set(months[: len(sizes)])  # a wrong logged feature is one whatever the month
    query = _alerts()["feature_skew"].sql("duckdb")
    history = bank.query(f"select raised_for from ({query}) where subject = 'history'")
    assert {row[0] for row in history} == large & set(months[: len(sizes)])
    assert all(found.values())


def _loan(generator: np.random.Generator, *, moved: bool = False) -> dict[str, object]:
    """A loan; of those that have moved, incomes have, and more of them are missing."""
    is_missing = generator.uniform() < (0.4 if moved else 0.1)
    return {
        "loan_to_income": None if is_missing else float(generator.normal(2 if moved else 1, 0.2)),
        "is_renter": bool(generator.uniform() < 0.5),
        "purpose": str(generator.choice(["car", "house"])),
    }
