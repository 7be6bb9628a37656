"""Each figure, from hand-made rows of the lake."""

from datetime import UTC, datetime

import pytest

from tests.measured_lake import measure
from tests.model_factory import MODEL_NAME, SOURCE
from warehouse.alerts.rules import alert_rules
from warehouse.figures.published import find_figures
from warehouse.figures.queries import QUERIES
from warehouse.lake.connection import connect
from warehouse.settings import Settings

_VERSION = (SOURCE, MODEL_NAME, "1")
_Found = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> _Found:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("measured") / "home")})
    measure(settings)
    with connect(settings) as con:
        figures = find_figures(con, QUERIES, kinds=alert_rules()).figures
    return {figure.name: {each.labels: each.value for each in figure.series} for figure in figures}


def seconds(year: int, month: int, day: int = 1, hour: int = 0) -> float:
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


def test_alerts_are_counted_and_shown_as_0_where_there_is_none(found: _Found) -> None:
    alerts = found["loan_alerts"]

    assert {labels: n for labels, n in alerts.items() if n} == {
        (SOURCE, "feature_drift", "high", "open"): 1,
        (SOURCE, "performance", "low", "acknowledged"): 1,
        ("", "contract", "high", "open"): 1,
    }
    assert len(alerts) == len(alert_rules()) * 2 * 3
    assert {labels[1] for labels in alerts} == set(alert_rules())


def test_performance_is_of_the_newest_month_that_was_judged(found: _Found) -> None:
    assert found["loan_model_performance"] == {
        (*_VERSION, "auc"): 0.65,
        (*_VERSION, "ks"): 0.3,
        (*_VERSION, "brier"): 0.1,
        (*_VERSION, "default_rate"): 0.12,
        (*_VERSION, "mean_probability"): 0.11,
    }
    assert found["loan_model_performance_limit"] == {(*_VERSION, "auc"): 0.7, (*_VERSION, "default_rate"): 0.18}
    assert found["loan_model_performance_month_timestamp_seconds"] == {_VERSION: seconds(2022, 2)}
    assert found["loan_model_performance_decisions"] == {_VERSION: 500}
    assert found["loan_model_performance_decayed"] == {_VERSION: 1}


def test_estimates_are_of_the_newest_month_with_their_interval(found: _Found) -> None:
    auc, rate = (*_VERSION, "auc", "cbpe"), (*_VERSION, "default_rate", "cbpe")

    assert found["loan_model_estimate"] == {auc: 0.74, rate: 0.12}
    assert found["loan_model_estimate_low"] == pytest.approx({auc: 0.69, rate: 0.07})
    assert found["loan_model_estimate_high"] == pytest.approx({auc: 0.79, rate: 0.17})
    assert found["loan_model_estimate_limit"] == {auc: 0.7, rate: 0.12}
    assert found["loan_model_estimate_alarm"] == {auc: 0, rate: 0}
    assert found["loan_model_estimate_month_timestamp_seconds"] == {_VERSION: seconds(2022, 3)}


def test_defaults_so_far_stand_beside_what_was_expected(found: _Found) -> None:
    assert found["loan_model_defaults_so_far"] == {_VERSION: 28}
    assert found["loan_model_defaults_so_far_expected"] == {_VERSION: 15.6}
    assert found["loan_model_defaults_so_far_limit"] == {_VERSION: 24}
    assert found["loan_model_defaults_so_far_month_timestamp_seconds"] == {_VERSION: seconds(2022, 2)}


def test_data_reach_as_far_as_their_newest_row(found: _Found) -> None:
    assert found["loan_data_newest_timestamp_seconds"] == {
        (SOURCE, "application"): seconds(2022, 3, 31, 11),
        (SOURCE, "statement"): seconds(2022, 3),
        (SOURCE, "label"): seconds(2021, 12),
        (SOURCE, "decision"): seconds(2022, 3, 31, 11),
    }
    assert found["loan_data_rows"][SOURCE, "statement"] == 5_000
    assert found["loan_data_load_timestamp_seconds"] == {(SOURCE,): seconds(2022, 4, 1, 2)}
    assert found["loan_data_clock_timestamp_seconds"] == {(SOURCE,): seconds(2022, 3, 31, 12)}


def test_rows_set_aside_are_of_files_in_use_and_their_share_of_those_not_accepted(found: _Found) -> None:
    applications = (SOURCE, "applications")

    assert found["loan_data_set_aside_rows"] == {applications: 100}
    assert found["loan_data_set_aside_share"] == {applications: 0.03}
    assert found["loan_data_set_aside_share_limit"] == {applications: 0.2}


def test_decisions_are_of_the_newest_month(found: _Found) -> None:
    asked = (SOURCE, "false")

    assert found["loan_portfolio_decisions"] == {asked: 200}
    assert found["loan_portfolio_approval_rate"] == {asked: 0.75}
    assert found["loan_portfolio_referral_rate"] == {asked: 0.05}
    assert found["loan_portfolio_mean_probability"] == pytest.approx({asked: 0.09})
    assert found["loan_portfolio_month_timestamp_seconds"] == {asked: seconds(2022, 3)}


def test_losses_are_of_the_newest_month_with_enough_labels(found: _Found) -> None:
    """Two labels of February, both defaults, would be a rate of 100 %."""
    asked = (SOURCE, "false")

    assert found["loan_portfolio_mature_decisions"] == {asked: 100}
    assert found["loan_portfolio_expected_default_rate"] == {asked: 0.08}
    assert found["loan_portfolio_default_rate"] == {asked: 0.06}
    assert found["loan_portfolio_expected_loss_amount"] == {asked: 1500}
    assert found["loan_portfolio_realised_loss_amount"] == {asked: 1600}
    assert found["loan_portfolio_mature_month_timestamp_seconds"] == {asked: seconds(2022, 1)}
