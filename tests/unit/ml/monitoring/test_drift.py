"""Drift of a model's decisions, read from and written to a real lake."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from ml.monitoring import drift
from ml.monitoring.drift import (
    FeatureDrift,
    ks_p_value,
    record_feature_drift,
    record_score_drift,
    score_psi,
)
from ml.monitoring.limits import DriftRule
from ml.monitoring.samples import MonitoredModel
from tests.unit.ml.decisions_lake import CONTRACT, MODEL, Bank
from warehouse.errors import MonitoringError
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract

JANUARY, FEBRUARY = date(2024, 1, 1), date(2024, 2, 1)


def _row(
    loan_to_income: float | None, *, is_renter: bool | None = True, purpose: str | None = "car"
) -> dict[str, object]:
    return {"loan_to_income": loan_to_income, "is_renter": is_renter, "purpose": purpose}


REFERENCE = [
    _row(number / 100, is_renter=number % 2 == 0, purpose=["car", "house"][number % 2]) for number in range(200)
]


def _by_feature(rows: tuple[FeatureDrift, ...], month: date = JANUARY) -> Mapping[str, FeatureDrift]:
    return {row.feature: row for row in rows if row.month == month}


def test_the_same_rows_do_not_drift(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE)

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert [row.feature for row in found] == ["loan_to_income", "is_renter", "purpose"]
    assert all(row.psi == pytest.approx(0, abs=1e-12) and not row.is_drifted for row in found)
    assert [row.ks for row in found] == [0, None, None]
    assert [row.chi2 for row in found] == [None, 0, 0]


def test_statistics_and_p_values_equal_scipy(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    current = [
        _row(number / 50, is_renter=number % 5 == 0, purpose=["car", "house", "boat"][number % 3])
        for number in range(90)
    ]
    bank.decide(datetime(2024, 1, 5), current)

    found = _by_feature(record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot))

    ks = stats.ks_2samp(
        [row["loan_to_income"] for row in REFERENCE], [row["loan_to_income"] for row in current], method="asymp"
    )
    renters = stats.chi2_contingency([[100, 100], [18, 72]], correction=False)
    purposes = stats.chi2_contingency([[100, 100, 0], [30, 30, 30]], correction=False)
    assert found["loan_to_income"].ks == pytest.approx(ks.statistic)
    assert found["loan_to_income"].ks_p_value == pytest.approx(ks.pvalue)
    assert found["is_renter"].chi2 == pytest.approx(renters.statistic)
    assert found["is_renter"].chi2_p_value == pytest.approx(renters.pvalue)
    assert found["purpose"].chi2 == pytest.approx(purposes.statistic)
    assert found["purpose"].chi2_p_value == pytest.approx(purposes.pvalue)


def test_not_a_number_and_null_are_both_missing(bank: Bank) -> None:
    snapshot = bank.train([*REFERENCE[:6], _row(None), _row(float("nan"))])
    bank.decide(datetime(2024, 1, 5), [_row(0.1), _row(None, is_renter=None, purpose=None)])

    found = _by_feature(record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot))

    assert found["loan_to_income"].missing_share_reference == 0.25
    assert found["loan_to_income"].missing_share_current == 0.5
    assert found["loan_to_income"].missing_share_change == 0.25
    assert found["is_renter"].missing_share_current == 0.5
    assert found["purpose"].missing_share_current == 0.5


def test_a_month_without_a_single_value_has_no_statistic_of_values(bank: Bank) -> None:
    """An all-missing column must be reported as drift, not crash the month."""
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), [_row(None, is_renter=None, purpose=None)] * 100)

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert [(row.ks, row.ks_p_value, row.chi2, row.chi2_p_value) for row in found] == [(None,) * 4] * 3
    assert all(row.is_drifted for row in found)


def test_a_model_without_decisions_has_no_rows(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert found == ()


def test_only_this_models_training_rows_and_decisions_count(bank: Bank) -> None:
    """Another source, another split, another version: each would shift the figures of this one."""
    later = [{**_row(9.0), "split": "test"}]
    snapshot = bank.train([*REFERENCE, *later])
    bank.decide(datetime(2024, 1, 5), REFERENCE)
    bank.decide(datetime(2024, 1, 6), [_row(9.0)] * 50, model=MonitoredModel("bank", MODEL.name, 4))
    bank.decide(datetime(2024, 1, 7), [_row(9.0)] * 50, model=MonitoredModel("shop", MODEL.name, 3))

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert {(row.n_reference, row.n_current) for row in found} == {(200, 200)}


def test_the_reference_is_read_as_the_model_saw_it(bank: Bank) -> None:
    """dbt replaces training.trn_default_v1 on each run; drift is against the snapshot the model was fitted on."""
    snapshot = bank.train(REFERENCE)
    bank.train([_row(9.0)])
    bank.decide(datetime(2024, 1, 5), REFERENCE)

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert {row.n_reference for row in found} == {200}


def test_a_snapshot_without_training_rows_is_refused(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE, source="shop")
    bank.decide(datetime(2024, 1, 5), REFERENCE)

    with pytest.raises(MonitoringError, match=f"snapshot {snapshot} has none of source 'bank'"):
        record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)


def test_months_are_calendar_months_of_the_decision(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 31, 23, 59, 59), REFERENCE[:3])
    bank.decide(datetime(2024, 2, 1), REFERENCE[:5])

    every = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert {(row.month, row.n_current) for row in every} == {(JANUARY, 3), (FEBRUARY, 5)}


def test_measuring_again_writes_nothing(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE[:70])
    record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    before = bank.snapshot()

    record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert bank.snapshot() == before


def test_only_the_month_that_changed_is_replaced(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE[:70])
    bank.decide(datetime(2024, 2, 5), REFERENCE[:70])
    record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    measured = (
        "select month, max(measured_at), count(*), max(n_current) from monitoring.feature_drift group by 1 order by 1"
    )
    first = bank.query(measured)
    bank.decide(datetime(2024, 2, 6), REFERENCE[:10])

    record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    second = bank.query(measured)
    assert second[0] == first[0]
    assert second[1][1] > first[1][1]
    assert [row[2:] for row in second] == [(3, 70), (3, 80)]


def test_a_month_is_read_again_only_if_something_of_it_is_new(bank: Bank) -> None:
    """The features of January are gone: without anything new its figures stay, with a late decision they do not."""
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE[:70])
    record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    bank.con.execute("delete from serving.decision_features_v1")
    bank.decide(datetime(2024, 2, 5), REFERENCE[:40])

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    bank.decide(datetime(2024, 1, 6), REFERENCE[:10])
    later = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert [(row.month, row.feature, row.n_current) for row in found] == [
        (month, feature, n) for month, n in ((JANUARY, 70), (FEBRUARY, 40)) for feature in CONTRACT.feature_names
    ]
    assert {(row.month, row.n_current) for row in later} == {(JANUARY, 10), (FEBRUARY, 40)}


def test_a_month_whose_decisions_are_gone_has_no_rows(bank: Bank) -> None:
    """Erased decisions must not stay in the figures."""
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE[:70])
    bank.decide(datetime(2024, 2, 5), REFERENCE[:70])
    record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    bank.con.execute("delete from serving.predictions where decided_at < '2024-02-01'")

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)

    assert {row.month for row in found} == {FEBRUARY}


def test_columns_are_read_in_groups_that_fit_into_memory(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """One column at a time must give what all at once give, in contract order."""
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE[:70])
    bank.decide(datetime(2024, 2, 5), REFERENCE[50:])
    together = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    bank.con.execute("delete from monitoring.feature_drift")
    monkeypatch.setattr(drift, "GROUP_BYTES", 1)

    assert record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot) == together


def test_another_limit_is_applied_to_months_without_anything_new(bank: Bank, tmp_path: Path) -> None:
    snapshot = bank.train(REFERENCE)
    scores = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"probability": [n / 1000 for n in range(500)]}), scores)
    bank.decide(datetime(2024, 1, 5), REFERENCE, probability=[n / 1000 for n in range(200)])

    def are_judged(rule: DriftRule) -> set[bool]:
        features = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot, rule=rule)
        found = record_score_drift(bank.settings, MODEL, reference_scores=scores, rule=rule)
        return {row.is_judged for row in (*features, *found)}

    assert (are_judged(DriftRule()), are_judged(DriftRule(min_decisions=201))) == ({True}, {False})


def test_score_drift_is_against_all_training_probabilities(bank: Bank, tmp_path: Path) -> None:
    reference, current = [n / 1000 for n in range(1, 500)], [n / 500 for n in range(1, 400)]
    pq.write_table(pa.table({"probability": reference}), tmp_path / "scores.parquet")
    bank.decide(datetime(2024, 1, 5), [_row(1.0)] * len(current), probability=current)

    (found,) = record_score_drift(bank.settings, MODEL, reference_scores=tmp_path / "scores.parquet")

    expected = stats.ks_2samp(reference, current, method="asymp")
    assert (found.n_reference, found.n_current) == (499, 399)
    assert found.ks == pytest.approx(expected.statistic)
    assert found.ks_p_value == pytest.approx(expected.pvalue)
    assert (found.mean_reference, found.mean_current) == (pytest.approx(0.25), pytest.approx(0.4))
    assert found.is_drifted
    stored = bank.query("select month, psi, is_drifted from monitoring.score_drift")
    assert stored == [(JANUARY, found.psi, True)]


def test_an_empty_file_of_scores_is_refused(bank: Bank, tmp_path: Path) -> None:
    pq.write_table(pa.table({"probability": pa.array([], pa.float64())}), tmp_path / "scores.parquet")
    bank.decide(datetime(2024, 1, 5), REFERENCE)

    with pytest.raises(MonitoringError, match=r"scores\.parquet has none"):
        record_score_drift(bank.settings, MODEL, reference_scores=tmp_path / "scores.parquet")


@pytest.mark.parametrize(("n_decisions", "is_judged"), [(99, False), (100, True)])
def test_a_month_of_too_few_decisions_is_measured_and_not_judged(
    bank: Bank, tmp_path: Path, n_decisions: int, is_judged: bool
) -> None:
    """A few calls by one who tries the API look like a drift of nearly all, of missing values too."""
    snapshot = bank.train(REFERENCE)
    pq.write_table(pa.table({"probability": [n / 1000 for n in range(500)]}), tmp_path / "scores.parquet")
    trials = [_row(99.0, is_renter=None, purpose="boat")] * n_decisions
    bank.decide(datetime(2024, 1, 5), trials, probability=[0.9] * n_decisions)

    found = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)
    (scores,) = record_score_drift(bank.settings, MODEL, reference_scores=tmp_path / "scores.parquet")

    assert all(row.psi > 1 for row in (*found, scores))
    assert {(row.is_judged, row.is_drifted) for row in (*found, scores)} == {(is_judged, is_judged)}
    limits = "missing_share_limit is not null, psi_limit is not null"
    assert set(bank.query(f"select {limits} from monitoring.feature_drift")) == {(is_judged, is_judged)}
    assert bank.query("select psi_limit is not null from monitoring.score_drift") == [(is_judged,)]


#: A default rate of the purpose, which all loans of a purpose and month share: half of them are for cars.
RATES = FeatureContract(
    version="v1",
    inputs=(InputColumn("purpose_rate", "double", "Trailing rate.", "cohort", segment="purpose"),),
    features=(
        FeatureColumn("amount", "double", "Amount.", "numeric", range=(0, 10), reason="amount"),
        FeatureColumn("relative_rate", "double", "Rate over 0.1.", "numeric", range=(0, 10), reason="rate"),
    ),
    sql="select amount, purpose_rate / 0.1 as relative_rate from inputs",
)


def _month_of_rates(month: int, *, times: float = 1.0) -> list[dict[str, object]]:
    """Loans of a month: rates that wander by a tenth around each purpose's own, amounts that do not change."""
    wander = np.random.default_rng(month).normal(1, 0.1, 5)
    purposes = [0, 0, 0, 0, 0, 1, 1, 2, 3, 4] * 20
    return [
        {"amount": number % 10 / 10, "relative_rate": float((0.8 + purpose / 10) * wander[purpose] * times)}
        for number, purpose in enumerate(purposes)
    ]


def _train_on_months(bank: Bank, n: int) -> int:
    return bank.train(
        [{**row, "decided_at": datetime(2020 + m // 12, m % 12 + 1, 5)} for m in range(n) for row in _month_of_rates(m)]
    )


def test_a_rate_that_a_segment_shares_drifts_by_what_its_own_months_differ(bank: Bank) -> None:
    """A month has five values of it, however many loans: its PSI is far above 0.2 without any drift."""
    snapshot = _train_on_months(bank, 40)
    for month, times in ((1, 1.0), (2, 0.5)):
        bank.decide(datetime(2024, month, 5), _month_of_rates(100 + month, times=times), contract=RATES)

    found = record_feature_drift(bank.settings, MODEL, RATES, reference_snapshot=snapshot)

    january, february = (_by_feature(found, month)["relative_rate"] for month in (JANUARY, FEBRUARY))
    assert january.psi > 1
    assert january.psi_limit == february.psi_limit
    assert (january.is_drifted, february.is_drifted) == (False, True)
    assert [row.psi_limit for row in found if row.feature == "amount"] == [0.2, 0.2]
    assert january.psi_of_limit < 1 < february.psi_of_limit


def test_a_rate_with_few_months_of_training_is_measured_and_not_judged(bank: Bank) -> None:
    snapshot = _train_on_months(bank, 10)
    bank.decide(datetime(2024, 1, 5), _month_of_rates(101), contract=RATES)
    bank.decide(datetime(2024, 2, 5), [{"amount": 0.1, "relative_rate": None}] * 200, contract=RATES)

    found = record_feature_drift(bank.settings, MODEL, RATES, reference_snapshot=snapshot)

    january, february = (_by_feature(found, month)["relative_rate"] for month in (JANUARY, FEBRUARY))
    assert (january.psi > 1, january.psi_limit, january.psi_of_limit, january.is_drifted) == (True, None, 0, False)
    assert february.is_drifted  # it is missing


def test_p_values_of_the_smallest_samples_are_probabilities() -> None:
    """scipy's distribution is undefined at the effective size 0 to which 1 x 1 rounds."""
    assert 0 <= ks_p_value(1.0, 1, 1) <= 1
    assert ks_p_value(0.0, 1, 1) == 1


@pytest.mark.parametrize("n", [1_001, 4_000, 50_000])
@pytest.mark.parametrize(
    ("squared", "error"),
    [(0.0, 5e-4), (0.1, 5e-4), (0.7, 5e-4), (2.2, 5e-4), (2.21, 0.01), (4.0, 0.01), (18.0, 0.01), (40.0, 0.01)],
)
def test_p_values_of_many_rows_equal_scipy(n: int, squared: float, error: float) -> None:
    """From 1 to .025, and down to 1e-35, they are of the limit of many rows, with the error that is stated for each."""
    ks = math.sqrt(squared / n)

    assert ks_p_value(ks, 2 * n, 2 * n) == pytest.approx(stats.kstwo.sf(ks, n), rel=error)


def test_the_psi_of_two_samples_of_scores_is_that_of_a_month_by_hand() -> None:
    reference, current = np.repeat([0.1, 0.9], [50, 50]), np.repeat([0.1, 0.9], [20, 80])

    # each value spans deciles, so it is a bin, and half a row more is in each
    then, now = np.array([50.5, 50.5]) / 101, np.array([20.5, 80.5]) / 101
    assert score_psi(reference, current) == pytest.approx(sum((now - then) * np.log(now / then)))


def test_the_bins_of_the_index_are_kept(bank: Bank) -> None:
    """A page draws both distributions from them, without reading a decision again."""
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), [_row(0.0, purpose="boat"), _row(None, purpose="car"), _row(5.0, purpose=None)])

    found = _by_feature(record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot))

    loans, purposes = (json.loads(found[name].bins) for name in ("loan_to_income", "purpose"))
    assert (loans[0], loans[-2:]) == (["to 0.19", 20, 1], [["above 1.79", 20, 1], ["missing", 0, 1]])
    assert purposes == [["car", 100, 1], ["house", 100, 0], ["another value", 0, 1], ["missing", 0, 1]]
