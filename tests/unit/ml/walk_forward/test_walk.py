"""A walk knows on each day what was known then, goes on from what is stored, and touches nothing else."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ml.judging import metrics
from ml.judging.gate import GateLimits
from ml.training.fitting import TrainingSettings
from ml.walk_forward import candidates
from ml.walk_forward.results import WalkedMonth
from tests.model_factory import CONTRACT, SETTINGS, SOURCE
from tests.unit.ml.walk_forward.conftest import AUGUST, JULY, OCTOBER, SEPTEMBER, WINDOW, History
from warehouse.errors import NotFoundError, SettingError, TrainingSetError

#: Applications of 2020 that were repaid, whose labels are mature by July 2021.
REPAID = (
    "application_id in (select application_id from training.lbl_default "
    "where not is_default and decided_at < '2020-10-01')"
)


def champions(months: list[WalkedMonth], policy: str = "monthly") -> dict[date, str | None]:
    return {row.month: row.champion for row in months if row.policy == policy}


@pytest.fixture(scope="module")
def walked(history: History) -> list[WalkedMonth]:
    """All policies, July to September 2021."""
    return history.walk(JULY, SEPTEMBER)


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(
            f"set is_default = true, known_at = '2021-07-01 00:00:01' where {REPAID}", id="known a second too late"
        ),
        pytest.param("set is_default = not is_default where outcome_at > '2021-03-02'", id="window still open"),
    ],
)
def test_a_label_from_the_future_changes_nothing(history: History, walked: list[WalkedMonth], planted: str) -> None:
    """Prevents a walk from training on, or judging by, what nobody knew on that day."""
    expected = history.rows(
        "select application_id, probability from monitoring.walk_forward_decisions "
        f"where run = 'main' and policy = 'monthly' and month = '{JULY}' order by all"
    )
    with history.planted(planted):
        months = history.walk(JULY, JULY, run="planted", policies=("monthly",))

    assert champions(months)[JULY] == champions(walked)[JULY] is not None
    assert expected == history.rows(
        "select application_id, probability from monitoring.walk_forward_decisions where run = 'planted' order by all"
    )


def test_a_label_known_by_the_day_counts(history: History, walked: list[WalkedMonth]) -> None:
    """The same plant a second earlier: shows that the test above can fail."""
    with history.planted(f"set is_default = true, known_at = '2021-07-01' where {REPAID}"):
        months = history.walk(JULY, JULY, run="known", policies=("monthly",))

    assert champions(months)[JULY] != champions(walked)[JULY]


def test_a_restated_outcome_changes_nothing_before_it_was_known(history: History, walked: list[WalkedMonth]) -> None:
    """Of loans whose labels were known: July has that version, unless the next was known by its first moment."""
    with history.restated("true as is_default", where=REPAID, known_at="2021-07-01 00:00:01"):
        later = history.walk(JULY, JULY, run="restated", policies=("monthly",))
    with history.restated("true as is_default", where=REPAID, known_at="2021-07-01"):
        by_the_day = history.walk(JULY, JULY, run="restated-by-the-day", policies=("monthly",))

    assert champions(later)[JULY] == champions(walked)[JULY] != champions(by_the_day)[JULY]


def test_never_keeps_its_first_champion_and_monthly_follows_the_labels(walked: list[WalkedMonth]) -> None:
    never, monthly = champions(walked, "never"), champions(walked, "monthly")

    assert set(never.values()) == {monthly[JULY]}
    assert len(set(monthly.values())) == 3
    assert [row.is_retrained for row in walked if row.policy == "never"] == [True, False, False]


def test_every_application_of_a_month_is_decided_once_for_each_policy(
    history: History, walked: list[WalkedMonth]
) -> None:
    decided = history.rows(
        "select policy, month, count(*), count(distinct application_id) from monitoring.walk_forward_decisions "
        "where run = 'main' group by all order by all"
    )
    applied = dict(
        history.rows("select date_trunc('month', decided_at)::date, count(*) from core.int_applications group by all")
    )

    assert decided == [(row.policy, row.month, applied[row.month], applied[row.month]) for row in walked]
    assert [row.n_decisions for row in walked] == [applied[row.month] for row in walked]


def test_decisions_are_judged_on_all_labels_known_at_the_end(history: History, walked: list[WalkedMonth]) -> None:
    (july,) = (row for row in walked if row.policy == "monthly" and row.month == JULY)
    found = history.rows(
        "select probability, is_default from monitoring.walk_forward_decisions join core.int_outcome_versions "
        f"using (application_id) where run = 'main' and policy = 'monthly' and month = '{JULY}' "
        # four months of window and four of lag after the decision something is still known
        "and decided_at + interval 8 months <= (select max(known_at) from core.int_outcome_versions)"
    )
    p, y = np.array([row[0] for row in found]), np.array([row[1] for row in found])

    assert (july.n_mature, july.n_defaults) == (len(y), y.sum())
    assert july.auc == pytest.approx(metrics.roc_auc(y, p).value)
    assert july.brier == pytest.approx(metrics.brier(y, p))
    assert july.calibration_gap == pytest.approx(p.mean() - y.mean())


def test_drift_is_measured_from_the_champions_own_training_rows(walked: list[WalkedMonth]) -> None:
    assert all(row.score_psi is not None and row.score_psi >= 0 for row in walked)
    assert {row.n_features for row in walked} == {8}


def test_nothing_that_the_home_serves_is_touched(history: History, walked: list[WalkedMonth]) -> None:
    tables = ("serving.predictions", "monitoring.feature_drift", "monitoring.score_drift", "monitoring.gate_results")

    assert walked
    assert [history.rows(f"select count(*) from {table}") for table in tables] == [[(0,)]] * 4
    assert not history.settings.deployment(SOURCE).exists()
    assert not history.settings.candidates.exists()


def test_a_later_walk_goes_on_from_the_stored_champion(history: History, walked: list[WalkedMonth]) -> None:
    history.walk(JULY, AUGUST, run="in-parts", policies=("never", "monthly"))
    months = history.walk(SEPTEMBER, SEPTEMBER, run="in-parts", policies=("never", "monthly"))

    for policy in ("never", "monthly"):
        assert champions(months, policy) == champions(walked, policy)
    assert [row.auc for row in months] == [row.auc for row in walked if row.policy != "drift"]


def test_an_interrupted_walk_trains_nothing_twice(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(month: WalkedMonth) -> None:
        if month.month == AUGUST:
            raise KeyboardInterrupt

    settings = TrainingSettings(model=SETTINGS.model, calibration="isotonic")
    with pytest.raises(KeyboardInterrupt):
        history.walk(JULY, SEPTEMBER, run="interrupted", policies=("monthly",), training=settings, report=interrupt)
    trained = []
    train = candidates.train
    monkeypatch.setattr(candidates, "train", lambda *given: trained.append(given[0].snapshot) or train(*given))
    months = history.walk(JULY, SEPTEMBER, run="interrupted", policies=("monthly",), training=settings)

    assert len(trained) == 1
    assert [row.month for row in months] == [JULY, AUGUST, SEPTEMBER]


def test_a_month_walked_again_is_replaced_whole(history: History) -> None:
    before = history.walk(JULY, AUGUST, run="again", policies=("monthly",))
    months = history.walk(JULY, JULY, run="again", policies=("monthly",))

    assert champions(months) == champions(before)
    assert history.rows(
        "select count(*), count(distinct application_id) from monitoring.walk_forward_decisions where run = 'again'"
    ) == [(sum(row.n_decisions for row in before),) * 2]


def test_months_that_followed_from_another_champion_go(history: History) -> None:
    """Prevents a walk whose months do not follow from each other."""
    history.walk(JULY, AUGUST, run="changed", policies=("never",))
    other = TrainingSettings(exclude=("loan_to_income",), model=SETTINGS.model)
    months = history.walk(JULY, JULY, run="changed", policies=("never",), training=other)

    assert [row.month for row in months] == [JULY]
    assert history.rows("select distinct month from monitoring.walk_forward_decisions where run = 'changed'") == [
        (JULY,)
    ]


def test_without_a_champion_nothing_is_decided_and_the_gate_is_told(history: History) -> None:
    (month,) = history.walk(
        JULY, JULY, run="refused", policies=("never",), limits=GateLimits({"min_test_rows": 10_000})
    )

    assert (month.champion, month.n_decisions, month.is_retrained, month.is_promoted) == (None, 0, True, False)
    assert "test_has_enough_loans: Required at least 10,000 test loans" in month.why


def test_labels_that_come_too_late_are_told_with_the_month_they_suffice_from(history: History) -> None:
    with pytest.raises(TrainingSetError, match=r"labels of 4 months from 2020-10 on they do"):
        history.walk(date(2020, 3, 1), date(2020, 5, 1))


def test_months_without_applications_are_refused(history: History) -> None:
    with pytest.raises(SettingError, match=r"decided from 2020-01 to 2021-12, found 2021-11 to 2022-01"):
        history.walk(date(2021, 11, 1), date(2022, 1, 1))


def test_a_source_without_applications_is_refused(history: History) -> None:
    with pytest.raises(NotFoundError, match="no application of source 'nobody'"):
        history.walk(JULY, JULY, source="nobody")


def test_a_run_keeps_one_meaning_of_default(history: History, walked: list[WalkedMonth]) -> None:
    assert walked[0].source == SOURCE
    with pytest.raises(SettingError, match=f"walked to 2021-09 with labels of {WINDOW} months: found 6"):
        history.walk(OCTOBER, OCTOBER, label_window_months=6)


def test_a_run_keeps_one_version_of_the_features(history: History, walked: list[WalkedMonth]) -> None:
    """Prevents a champion from scoring rows of another version than it was trained on."""
    assert walked[0].feature_version == "v1"
    with pytest.raises(SettingError, match="walked to 2021-09 with features v1: found v2"):
        history.walk(OCTOBER, OCTOBER, contract=replace(CONTRACT, version="v2"))


def test_a_walk_goes_on_when_the_snapshots_its_models_were_trained_at_have_expired(history: History) -> None:
    """Last of all, since it leaves the module's lake one snapshot."""
    history.walk(JULY, AUGUST, run="expired", policies=("monthly",))
    (newest,) = history.rows("select max(snapshot_id) from ducklake_snapshots('lake')")
    history.write("call ducklake_expire_snapshots('lake', older_than => now())")

    months = history.walk(AUGUST, SEPTEMBER, run="expired", policies=("monthly",))

    assert history.rows(f"select count(*) from ducklake_snapshots('lake') where snapshot_id < {newest[0]}") == [(0,)]
    assert [row.is_promoted for row in months] == [True, True, True]
    assert all(row.score_psi is not None for row in months)
