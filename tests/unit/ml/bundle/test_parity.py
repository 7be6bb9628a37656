"""Parity finds a difference of one bit, and says where."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ml.bundle.bundle import Bundle
from ml.bundle.parity import measure_parity
from tests import model_factory
from tests.estimated_family import BOUND, estimated_bundle
from tests.model_factory import FAMILIES, shared_bundle
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings


class Lake:
    """One lake for all tests here; each starts from its first rows and has a snapshot of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._first = model_factory.fill_lake(settings)

    def after(self, *statements: str, bundle: Bundle | None = None) -> Bundle:
        """The shared bundle, as if it had been trained on this lake after the statements were run."""
        with writer("tests", self.settings) as con:
            for table in ("features.ftr_application_inputs", "features.ftr_application_v1"):
                con.execute(f"create or replace table {table} as from {table} at (version => {self._first})")
            for statement in statements:
                con.execute(statement)
            snapshot = current_snapshot(con)
        bundle = bundle or shared_bundle()
        return replace(bundle, lineage=replace(bundle.lineage, lake_snapshot=snapshot))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("lake") / "home")}))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_compiled_features_equal_the_lakes_to_the_bit(lake, family):
    """And so does what each family serves."""
    bundle = lake.after(bundle=shared_bundle(family=family))

    with connect(lake.settings) as con:
        parity = measure_parity(con, bundle, sample_rows=None).evidence

    assert (parity.n_rows, parity.n_mismatches, parity.max_score_difference) == (2000, 0, 0.0)
    assert parity.first_mismatch is None


def test_a_block_that_rounds_otherwise_than_a_row_is_measured(lake, monkeypatch):
    """Prevents a bound that no row is held to."""
    bundle = lake.after(bundle=estimated_bundle(monkeypatch))

    with connect(lake.settings) as con:
        parity = measure_parity(con, bundle, sample_rows=None).evidence

    assert 0 < parity.max_score_difference <= BOUND == bundle.guarantees.score_bound
    assert parity.n_mismatches == 0


def test_a_score_that_is_not_a_number_is_not_lost(lake, monkeypatch):
    """It equals nothing, so the largest difference must not be that of the other rows."""
    bundle = lake.after()
    served = type(bundle.open_served())
    scores = served.raw_scores
    monkeypatch.setattr(served, "raw_scores", lambda self, rows: scores(self, rows) * np.float32("nan"))

    with connect(lake.settings) as con:
        assert math.isnan(measure_parity(con, bundle).evidence.max_score_difference)


def test_one_bit_in_one_feature_is_found(lake):
    inputs = next(row for row in model_factory.input_rows() if row["annual_income"])
    application_id, ratio = inputs["application_id"], inputs["requested_amount"] / inputs["annual_income"]
    bundle = lake.after(
        f"update features.ftr_application_v1 set loan_to_income = {math.nextafter(ratio, math.inf)!r}::double "
        f"where application_id = '{application_id}'",
    )

    with connect(lake.settings) as con:
        parity = measure_parity(con, bundle, sample_rows=None)

    assert parity.n_mismatches == 1
    assert list(parity.mismatches) == ["loan_to_income"]
    assert parity.mismatches["loan_to_income"].examples == [
        f"{application_id}: offline {math.nextafter(ratio, math.inf)!r}, online {ratio!r}"
    ]


def test_a_null_is_not_a_zero(lake):
    bundle = lake.after("update features.ftr_application_v1 set max_months_past_due_6m = coalesce("
                    "max_months_past_due_6m, 0)")  # fmt: skip

    with connect(lake.settings) as con:
        evidence = measure_parity(con, bundle, sample_rows=None).evidence

    n_missing = sum(row["max_months_past_due_6m"] is None for row in model_factory.input_rows())
    assert evidence.n_mismatches == n_missing > 0
    assert "max_months_past_due_6m" in evidence.first_mismatch
    assert "offline 0, online None" in evidence.first_mismatch


def test_an_application_without_features_counts(lake):
    """Prevents a feature table that lost rows from passing on those it kept."""
    bundle = lake.after("delete from features.ftr_application_v1 where application_id in ('sim-1', 'sim-2')")

    with connect(lake.settings) as con:
        evidence = measure_parity(con, bundle, sample_rows=None).evidence

    assert (evidence.n_rows, evidence.n_mismatches) == (2000, 2)
    assert "no row in the feature table" in evidence.first_mismatch


def test_a_sample_takes_as_many_rows_of_every_month(lake):
    bundle = lake.after()

    with connect(lake.settings) as con:
        n_sampled = measure_parity(con, bundle, sample_rows=240).evidence.n_rows
        n_all = measure_parity(con, bundle, sample_rows=2000).evidence.n_rows

    assert n_sampled == 24 * math.ceil(240 / 24)
    assert n_all == 2000


def test_rows_are_those_the_model_was_trained_from(lake):
    """Prevents a later rebuild of the feature table from judging, or refusing, an older model."""
    bundle = lake.after()
    with writer("tests", lake.settings) as con:
        con.execute("update features.ftr_application_v1 set requested_amount = 0")

    with connect(lake.settings) as con:
        assert measure_parity(con, bundle).evidence.n_mismatches == 0


@pytest.mark.parametrize("sample_rows", [100, None])
def test_another_lenders_rows_are_not_compared(lake, sample_rows):
    bundle = lake.after("update features.ftr_application_inputs set source = 'other' where application_id != 'sim-7'")

    with connect(lake.settings) as con:
        assert measure_parity(con, bundle, sample_rows=sample_rows).evidence.n_rows == 1
