"""When a champion should be trained again."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from ml.registry.deployment import Deployment
from orchestration.defs.monitoring.alert_rules import Alarm, decay_alarm, drift_alarm, new_labels_alarm
from warehouse.errors import LakeError
from warehouse.lake.connection import writer
from warehouse.settings import Settings

Serve = Callable[..., Deployment]
Measured = Callable[..., None]
MAY, JUNE = date(2024, 5, 1), date(2024, 6, 1)


def test_drifted_scores_in_the_newest_month_are_an_alarm(home: Settings, in_service: Serve, measured: Measured) -> None:
    champion = in_service(2)
    measured("monitoring.score_drift", champion, month=MAY, psi=0.05, is_drifted=False, psi_limit=0.2)
    measured("monitoring.score_drift", champion, month=JUNE, psi=0.312, is_drifted=True, psi_limit=0.2)

    alarm = drift_alarm(home, champion)

    assert alarm is not None
    assert alarm.key == "drift-default_risk_bank-2-2024-06-01"
    assert alarm.reason == "default_risk_bank version 2: scores drifted in 2024-06, PSI 0.312"


def test_a_distance_of_the_scores_is_an_alarm_with_its_limit(
    home: Settings, in_service: Serve, measured: Measured
) -> None:
    champion = in_service(2)
    figures = {"psi": 0.07, "psi_limit": 0.2, "ks": 0.118, "ks_limit": 0.1, "is_drifted": True}
    measured("monitoring.score_drift", champion, month=JUNE, **figures)

    alarm = drift_alarm(home, champion)

    assert alarm is not None
    assert alarm.reason == "default_risk_bank version 2: scores drifted in 2024-06, PSI 0.070, KS 0.118 above 0.1"


def test_a_drift_that_has_passed_is_no_alarm(home: Settings, in_service: Serve, measured: Measured) -> None:
    champion = in_service()
    measured("monitoring.score_drift", champion, month=MAY, psi=0.4, is_drifted=True, psi_limit=0.2)
    measured("monitoring.score_drift", champion, month=JUNE, psi=0.05, is_drifted=False, psi_limit=0.2)

    assert drift_alarm(home, champion) is None


def test_a_month_of_too_few_decisions_neither_raises_nor_hides_an_alarm(
    home: Settings, in_service: Serve, measured: Measured
) -> None:
    """Four trial scores in a new month say nothing of the applicants."""
    champion = in_service()
    measured("monitoring.score_drift", champion, month=MAY, psi=0.4, is_drifted=True, psi_limit=0.2)
    measured("monitoring.score_drift", champion, month=JUNE, psi=2.0, is_drifted=False, psi_limit=None)

    alarm = drift_alarm(home, champion)

    assert alarm is not None
    assert alarm.key.endswith("2024-05-01")


def test_the_drift_of_an_earlier_version_is_no_alarm(home: Settings, in_service: Serve, measured: Measured) -> None:
    """Prevents one drifted month from starting trainings after the new model is in service."""
    measured("monitoring.score_drift", in_service(1), month=JUNE, psi=0.4, is_drifted=True, psi_limit=0.2)

    assert drift_alarm(home, in_service(2)) is None


@pytest.mark.parametrize(("n_drifted", "is_alarm"), [(1, False), (2, True)])
def test_half_of_the_features_drifting_is_an_alarm_and_fewer_are_not(
    home: Settings, in_service: Serve, measured: Measured, n_drifted: int, is_alarm: bool
) -> None:
    champion = in_service()
    for number in range(4):
        figures = {"is_drifted": number < n_drifted, "missing_share_limit": 0.1}
        measured("monitoring.feature_drift", champion, month=JUNE, feature=f"f{number}", **figures)

    assert (drift_alarm(home, champion) is not None) == is_alarm


@pytest.mark.parametrize(
    ("auc", "default_rate", "reason"),
    [
        (0.65, 0.10, "AUC 0.6500 in 2024-06, below its limit of 0.6600"),
        (0.70, 0.16, "default rate 16.0% in 2024-06, above its limit of 15.0%"),
        (0.67, 0.14, None),
    ],
)
def test_a_month_is_judged_by_its_auc_and_its_default_rate(
    home: Settings, in_service: Serve, measured: Measured, auc: float, default_rate: float, reason: str | None
) -> None:
    champion = in_service()
    figures = {"auc": auc, "auc_limit": 0.66, "default_rate": default_rate, "default_rate_limit": 0.15}
    measured("monitoring.model_performance", champion, month=JUNE, **figures)

    alarm = decay_alarm(home, champion)

    assert (alarm.reason if alarm else None) == (f"default_risk_bank version 1: {reason}" if reason else None)


def test_a_month_with_few_mature_decisions_is_not_judged(home: Settings, in_service: Serve, measured: Measured) -> None:
    champion = in_service()
    figures = {"auc": 0.5, "auc_limit": None, "default_rate": 0.2, "default_rate_limit": None}
    measured("monitoring.model_performance", champion, month=JUNE, **figures)

    assert decay_alarm(home, champion) is None


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (None, None),
        (0.5, None),
        (0.6, "F1 0.500 in 2024-06, below the limit of 0.6 in the lender's file"),
        (
            0.8,
            "F1 0.500 in 2024-06, below the limit of 0.8 in the lender's file; 50.0% defaulted, and no cut-off is "
            "expected to reach more than 0.750: training again cannot keep this rule, set a lower f1_below",
        ),
    ],
)
def test_a_low_f1_is_an_alarm_where_the_lender_sets_a_limit(
    home: Settings,
    in_service: Serve,
    measured: Measured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    limit: float | None,
    reason: str | None,
) -> None:
    """Of four loans two default. One of the two declined does: F1 2 · 1 / (2 + 2).

    Expected of the first one, two, … by falling probability: 2 · .9 / (1 + 2), 1.5 → 2 · 1.5 / (2 + 2) = .75, …
    """
    champion = in_service()
    monkeypatch.setattr("warehouse.lenders.rules.DIRECTORY", tmp_path)
    if limit is not None:
        (tmp_path / "bank.yml").write_text(f"retrain: {{f1_below: {limit}}}\n")
    kept = {"auc": 0.7, "auc_limit": 0.6, "default_rate": 0.5, "default_rate_limit": 0.9}
    measured("monitoring.model_performance", champion, month=JUNE, **kept)
    loans = [("a", 0.9, True), ("b", 0.6, False), ("c", 0.3, True), ("d", 0.2, False)]
    for application, probability, _ in loans:
        decision = "decline" if probability > 0.5 else "approve"
        row = {"application_id": application, "probability": probability, "decision": decision}
        decided(home, champion, decided_at="2024-06-10", **row)
    # of another month
    decided(home, champion, decided_at="2024-05-10", application_id="a", probability=0.1, decision="approve")
    with writer("test", home) as con:
        values = ", ".join(f"('{name}', {bad})" for name, _, bad in loans)
        con.execute(
            f"create table training.lbl_default as from (values {values}) as labels(application_id, is_default)"
        )

    alarm = decay_alarm(home, champion)

    assert (alarm.reason if alarm else None) == (f"default_risk_bank version 1: {reason}" if reason else None)
    assert alarm is None or alarm.key == "f1-default_risk_bank-1-2024-06-01"


def decided(home: Settings, champion: Deployment, **values: object) -> None:
    row = {
        "source": champion.source,
        "model_name": champion.model_name,
        "model_version": champion.model_version,
        **values,
    }
    with writer("test", home) as con:
        con.execute(
            f"insert into serving.predictions ({', '.join(row)}) values ({', '.join('?' for _ in row)})",
            list(row.values()),
        )


@pytest.mark.parametrize(("n_rows", "key"), [(10_499, None), (10_500, "1"), (11_100, "2")])
def test_labels_count_once_there_are_five_hundred_more_and_again_with_each_five_hundred(
    home: Settings, in_service: Serve, n_rows: int, key: str | None
) -> None:
    """The champion was trained on 10,000 rows; 5 % of them are 500."""
    champion = in_service(n_trained=10_000)
    with writer("test", home) as con:
        con.execute(f"create table training.trn_default as select 'bank' as source from range({n_rows})")

    alarm = new_labels_alarm(home, champion)

    assert (alarm.key if alarm else None) == (f"labels-default_risk_bank-1-{key}" if key else None)


def test_a_home_without_a_lake_raises_no_alarm(home: Settings, in_service: Serve) -> None:
    champion = in_service()

    assert [rule(home, champion) for rule in (drift_alarm, decay_alarm, new_labels_alarm)] == [None, None, None]


@pytest.mark.parametrize("rule", [drift_alarm, decay_alarm, new_labels_alarm])
def test_a_lake_that_cannot_be_read_is_an_error_and_not_a_quiet_month(
    rule: Callable[..., Alarm | None], home: Settings, in_service: Serve
) -> None:
    champion = in_service()
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.write_bytes(b"not a database, but long enough to be looked at" * 100)

    with pytest.raises(LakeError, match="the lake's catalog cannot be opened"):
        rule(home, champion)
