"""Months of a served model, estimated and graded in a lake."""

from dataclasses import replace
from datetime import date

import pytest

from ml.batches.backfill import score_applications
from ml.bundle.scorer import Scorer
from ml.estimates.grades import PerformanceEstimate
from ml.estimates.recording import TABLE, record_estimates
from ml.monitoring.samples import MonitoredModel
from tests.model_factory import MODEL_NAME, SOURCE, fill_lake, publish_model, shared_bundle
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings

MODEL = MonitoredModel(SOURCE, MODEL_NAME, 1)


class Served:
    """A model with reference loans of three months, and the months after them, all of whose labels are known."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        fill_lake(settings, 8_000)
        score_applications(settings, publish_model(settings))
        with writer("test data", settings) as con:
            con.execute("delete from training.trn_default_v1 where decided_at >= timestamp '2021-09-01'")
            con.execute("create table core.int_outcomes (application_id varchar, outcome_at timestamp)")
            con.execute("insert into core.int_outcomes select application_id, outcome_at from training.lbl_default")
            snapshot = current_snapshot(con)
        bundle = shared_bundle()
        self.scorer = Scorer(replace(bundle, lineage=replace(bundle.lineage, lake_snapshot=snapshot)))
        self.rows = record_estimates(settings, MODEL, self.scorer, role="champion", tested_low=0.6)

    def of(self, metric: str, method: str) -> list[PerformanceEstimate]:
        return [row for row in self.rows if (row.metric, row.method) == (metric, method)]

    def query(self, sql: str) -> list[tuple]:
        with connect(self.settings) as con:
            return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("served") / "home")}))


def test_every_full_month_is_estimated_by_both_methods(served: Served) -> None:
    months = [row.month for row in served.of("auc", "cbpe")]

    assert months == [row.month for row in served.of("auc", "pape")]
    assert months[0] == date(2021, 6, 1)
    assert all(row.n_decisions >= 300 for row in served.rows)


def test_a_small_month_is_also_judged_with_those_before_it(served: Served) -> None:
    sizes = {row.month: row.n_decisions for row in served.of("default_rate", "cbpe")}
    together = {row.month: row for row in served.of("pooled_default_rate", "cbpe")}

    months = sorted(sizes)
    small = [month for month in months[2:] if sizes[month] < 1_500]
    assert small
    assert all(month in together for month in small)
    last = small[-1]
    pooled = sum(sizes[month] for month in months[months.index(last) - 2 : months.index(last) + 1])
    assert together[last].n_decisions in (pooled, pooled - sizes[months[months.index(last) - 2]])
    assert together[last].estimated_limit is not None
    assert together[last].true_value is None


def test_the_true_value_is_that_of_the_outcomes(served: Served) -> None:
    row = served.of("default_rate", "cbpe")[-1]

    found = served.query(
        "select avg(is_default::double), count(*) from training.lbl_default "
        f"where date_trunc('month', decided_at) = date '{row.month}'"
    )

    assert [(row.true_value, row.n_mature)] == [(pytest.approx(found[0][0]), found[0][1])]


def test_only_months_after_the_reference_are_graded(served: Served) -> None:
    graded = {row.month: row.is_covered is not None for row in served.of("brier", "pape")}

    assert {month for month, is_graded in graded.items() if is_graded} == {m for m in graded if m >= date(2021, 9, 1)}


def test_a_defaults_number_is_counted_beside_its_expectation(served: Served) -> None:
    """Every loan of the lake was observed for its window, and all defaults are at its half."""
    (rate, number) = (served.of(*key)[-1] for key in (("default_rate", "cbpe"), ("defaults_so_far", "exposure")))

    mean = served.query(
        f"select sum(probability) from serving.predictions where date_trunc('month', decided_at) = date '{rate.month}'"
    )

    assert number.true_value == pytest.approx(rate.true_value * rate.n_mature)
    assert number.estimated == pytest.approx(mean[0][0])


def test_measuring_again_estimates_and_writes_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    before = served.query("select max(snapshot_id) from ducklake_snapshots('lake')")
    monkeypatch.setattr("ml.estimates.recording.compared_features", lambda *_: pytest.fail("estimated again"))

    again = record_estimates(served.settings, MODEL, served.scorer, role="champion", tested_low=0.6)

    assert len(again) == len(served.rows)
    assert served.query("select max(snapshot_id) from ducklake_snapshots('lake')") == before
    assert served.query(f"select count(*) from {TABLE}") == [(len(served.rows),)]
