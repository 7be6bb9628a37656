"""A version that was replaced is graded once its labels mature, and what it said stays as it was."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from ml.batches.backfill import score_applications
from ml.bundle.scorer import Scorer
from ml.estimates import later_truth, recording
from ml.estimates.grades import PerformanceEstimate
from ml.estimates.later_truth import add_truth, months_to_grade
from ml.estimates.recording import record_estimates
from ml.estimates.stored import earlier_grades, stored_estimates
from ml.monitoring.limits import EstimateRule
from ml.monitoring.samples import MonitoredModel
from tests.model_factory import MODEL_NAME, SOURCE, fill_lake, publish_model, shared_bundle
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings

MODEL = MonitoredModel(SOURCE, MODEL_NAME, 1)
#: The first month whose labels come only after the version was replaced.
LATE = date(2021, 10, 1)


class Replaced:
    """A version whose newest months had no labels while it served; ``before``: its rows at that time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        fill_lake(settings, 4_000)
        score_applications(settings, publish_model(settings))
        with writer("test data", settings) as con:
            con.execute("delete from training.trn_default_v1 where decided_at >= timestamp '2021-09-01'")
            con.execute("create table core.int_outcomes as select application_id, outcome_at from training.lbl_default")
            con.execute(f"create table main.late as from training.lbl_default where decided_at >= date '{LATE}'")
            con.execute(f"delete from training.lbl_default where decided_at >= date '{LATE}'")
            snapshot = current_snapshot(con)
        bundle = shared_bundle()
        self.scorer = Scorer(replace(bundle, lineage=replace(bundle.lineage, lake_snapshot=snapshot)))
        self.before = record_estimates(settings, MODEL, self.scorer, role="champion", tested_low=0.6)
        self.waiting_before = months_to_grade(settings, MODEL)
        with writer("test data", settings) as con:
            con.execute("insert into training.lbl_default from main.late")
        self.waiting = months_to_grade(settings, MODEL)
        self.after = add_truth(settings, MODEL, self.scorer, self.waiting)

    def of(self, rows: tuple[PerformanceEstimate, ...], month: date) -> dict[tuple[str, str], PerformanceEstimate]:
        return {(row.metric, row.method): row for row in rows if row.month == month}


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaced]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (recording, later_truth):  # months of this lake have 166 decisions
            patch.setattr(module, "_RULE", replace(EstimateRule(), min_decisions=100))
        yield Replaced(Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("replaced") / "home")}))


def test_a_month_waits_once_its_labels_have_matured(replaced: Replaced) -> None:
    assert replaced.waiting_before == ()
    assert LATE in replaced.waiting
    assert min(replaced.waiting) == LATE


def test_what_became_true_is_added_and_what_was_said_stays(replaced: Replaced) -> None:
    before, after = replaced.of(replaced.before, LATE), replaced.of(replaced.after, LATE)

    rate = after["default_rate", "cbpe"]
    assert before["default_rate", "cbpe"].true_value is None
    with connect(replaced.settings) as con:
        [(share, n)] = con.execute(
            "select avg(is_default::double), count(*) from training.lbl_default "
            f"where date_trunc('month', decided_at) = date '{LATE}'"
        ).fetchall()
    assert (rate.true_value, rate.n_mature) == (pytest.approx(share), n)
    assert rate.is_covered is not None
    assert before.keys() == after.keys()
    for key, row in after.items():
        said = replace(before[key], role="replaced")
        assert (row.estimated, row.low, row.high, row.estimated_limit, row.is_alarm) == (
            said.estimated,
            said.low,
            said.high,
            said.estimated_limit,
            said.is_alarm,
        )


def test_the_next_version_inherits_the_grades(replaced: Replaced) -> None:
    following = replace(MODEL, version=2)

    with connect(replaced.settings) as con:
        grades = earlier_grades(con, following)
        stored = stored_estimates(con, MODEL)

    assert grades["auc", "cbpe"][LATE] == replaced.of(replaced.after, LATE)["auc", "cbpe"].is_covered
    assert {row.role for rows in stored.values() for row in rows} == {"replaced"}


def test_nothing_waits_afterwards(replaced: Replaced) -> None:
    assert months_to_grade(replaced.settings, MODEL) == ()
