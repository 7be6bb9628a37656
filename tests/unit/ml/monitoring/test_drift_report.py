"""The Evidently report of a month. Evidently alone takes ten seconds to import, hence the marker."""

import json
import os
from datetime import date, datetime

import pandas as pd
import pytest

from ml.monitoring.drift import record_feature_drift
from ml.monitoring.drift_report import write_drift_report
from tests.unit.ml.decisions_lake import CONTRACT, MODEL, Bank
from warehouse.errors import MonitoringError

# Evidently imports what is deprecated elsewhere
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

JANUARY = date(2024, 1, 1)
PURPOSES = ["car", "house"]
REFERENCE = [
    {"loan_to_income": number / 100, "is_renter": number % 3 == 0, "purpose": PURPOSES[number % 2]}
    for number in range(300)
]


def test_the_pages_say_what_they_compare_and_from_how_many_rows(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE[:120])

    report = write_drift_report(bank.settings, MODEL, CONTRACT, JANUARY, reference_snapshot=snapshot, sample_rows=100)

    about = json.loads(report.json.read_text())["about"]
    assert (about["n_sample_reference"], about["n_reference"]) == (100, 300)
    assert (about["n_sample_decisions"], about["n_decisions"], about["sample_seed"]) == (100, 120, 0)
    assert about["reference_snapshot"] == snapshot
    page = report.html.read_text()
    assert "100 of 120 decisions, 100 of 300 training rows" in page
    assert all(name in page for name in CONTRACT.feature_names)
    assert report.html.is_relative_to(bank.settings.reports)
    assert (report.n_columns, report.left_out) == (3, ())


def test_a_page_fetches_nothing_when_it_is_opened(bank: Bank) -> None:
    """A bank's closed network shows the report too; and nothing tells a stranger that it was made."""
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE)

    page = write_drift_report(bank.settings, MODEL, CONTRACT, JANUARY, reference_snapshot=snapshot).html.read_text()

    assert 'src="http' not in page
    assert '<link rel="stylesheet" href="http' not in page
    assert os.environ["DO_NOT_TRACK"]


def test_the_same_sample_is_drawn_again(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    bank.decide(datetime(2024, 1, 5), REFERENCE)
    arguments = {"reference_snapshot": snapshot, "sample_rows": 50}

    first = write_drift_report(bank.settings, MODEL, CONTRACT, JANUARY, **arguments).json.read_text()
    second = write_drift_report(bank.settings, MODEL, CONTRACT, JANUARY, **arguments).json.read_text()

    assert [metric["value"] for metric in json.loads(first)["metrics"]] == [
        metric["value"] for metric in json.loads(second)["metrics"]
    ]


def test_columns_without_values_are_left_out_and_constant_ones_shown(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)
    rows = [{"loan_to_income": 1.0 if number % 2 else None, "is_renter": True, "purpose": None} for number in range(60)]
    bank.decide(datetime(2024, 1, 5), rows)

    report = write_drift_report(bank.settings, MODEL, CONTRACT, JANUARY, reference_snapshot=snapshot)

    assert report.left_out == ("purpose",)
    assert report.n_drifted == 2
    assert "without a value on one side: purpose" in report.html.read_text()


def test_a_month_without_decisions_is_refused(bank: Bank) -> None:
    snapshot = bank.train(REFERENCE)

    with pytest.raises(MonitoringError, match="made no decision in 2024-01"):
        write_drift_report(bank.settings, MODEL, CONTRACT, JANUARY, reference_snapshot=snapshot)


def test_our_psi_is_evidentlys_where_both_bin_alike(bank: Bank) -> None:
    """Categories without an empty one are the same bins on both sides; half a row a bin is all that differs."""
    from evidently.legacy.calculations.stattests import psi_stat_test
    from evidently.legacy.core import ColumnType

    n = 20_000
    reference = ["car" if number % 10 < 3 else "house" for number in range(n)]
    current = ["car" if number % 10 < 5 else "house" for number in range(n)]
    snapshot = bank.train([{**REFERENCE[0], "purpose": purpose} for purpose in reference])
    bank.decide(datetime(2024, 1, 5), [{**REFERENCE[0], "purpose": purpose} for purpose in current])

    ours = record_feature_drift(bank.settings, MODEL, CONTRACT, reference_snapshot=snapshot)[2]
    theirs = psi_stat_test(pd.Series(reference), pd.Series(current), ColumnType.Categorical, 0.1)

    assert ours.feature == "purpose"
    assert ours.psi == pytest.approx(theirs.drift_score, rel=1e-3)
