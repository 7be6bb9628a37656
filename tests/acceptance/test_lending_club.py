"""What the main job made of the real Lending Club file, asked in SQL through the command, as an analyst would.

``.ci/run`` runs the job in a temporary home first and names it in LOANLAKE_TEST_LENDING_CLUB_HOME.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Row = dict[str, object]
MODEL = "default_risk_lending_club"


@pytest.fixture(scope="module")
def finished_home() -> Path:
    """The home in which the job has run."""
    home = os.environ.get("LOANLAKE_TEST_LENDING_CLUB_HOME")
    if not home:
        pytest.skip("LOANLAKE_TEST_LENDING_CLUB_HOME names no home with a finished Lending Club run: .ci/run makes one")
    return Path(home)


@pytest.fixture(scope="module")
def sql(finished_home: Path) -> Callable[[str], list[Row]]:
    """Rows of a query, by ``loanlake sql --format json``."""

    def ask(query: str) -> list[Row]:
        done = subprocess.run(
            [Path(sys.executable).with_name("loanlake"), "sql", query, "--format", "json"],
            env={**os.environ, "LOANLAKE_HOME": str(finished_home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rows: list[Row] = json.loads(done.stdout)
        return rows

    return ask


def test_every_loan_of_the_file_is_raw_and_none_is_quarantined(sql: Callable[[str], list[Row]]) -> None:
    assert sql("select count(*) as n from raw.lending_club_loans") == [{"n": 42535}]
    assert sql("select count(*) as n from raw.quarantine where source = 'lending_club'") == [{"n": 0}]


def test_the_split_is_by_time(sql: Callable[[str], list[Row]]) -> None:
    rows = sql(
        "select split, strftime(min(decided_at), '%Y-%m') as first, strftime(max(decided_at), '%Y-%m') as last, "
        "count(*) as n from training.trn_default where source = 'lending_club' group by split order by first"
    )

    assert [(row["split"], row["first"], row["last"]) for row in rows] == [
        ("train", "2007-06", "2010-12"),
        ("tune", "2011-01", "2011-06"),
        ("test", "2011-07", "2011-12"),
    ]
    assert rows[-1]["n"] == 12493


def test_out_of_time_quality_is_at_least_the_honest_baseline(sql: Callable[[str], list[Row]]) -> None:
    """Over all decisions of 2011 H2, from the logged probabilities. Far above .72 would be leakage, not skill."""
    (row,) = sql(
        f"""
        with judged as (
            select predictions.probability as p, labels.is_default as y
            from serving.predictions
            join training.lbl_default as labels using (source, application_id)
            where predictions.model_name = '{MODEL}' and predictions.decided_at >= date '2011-07-01'
        ),
        ranked as (
            select p, y, rank() over (order by p) + (count(*) over (partition by p) - 1) / 2.0 as midrank from judged
        )
        select
            count(*) as n,
            (sum(midrank) filter (where y) - count(*) filter (where y) * (count(*) filter (where y) + 1) / 2.0)
                / (count(*) filter (where y) * count(*) filter (where not y)) as auc,
            avg(pow(p - y::integer, 2)) as brier
        from ranked
        """
    )

    assert row["n"] == 12493
    assert 0.703 <= row["auc"] <= 0.75
    assert row["brier"] <= 0.123


def test_every_application_after_the_cut_off_has_one_decision(sql: Callable[[str], list[Row]]) -> None:
    (row,) = sql(
        "select count(*) as n, count(distinct application_id) as n_applications, count(distinct decision_id) as n_ids "
        f"from serving.predictions where model_name = '{MODEL}' and decided_at >= date '2011-07-01'"
    )

    assert row == {"n": 12493, "n_applications": 12493, "n_ids": 12493}


def test_each_month_is_monitored(sql: Callable[[str], list[Row]]) -> None:
    """A feature and month without a drift figure would be a month nobody watched."""
    (drift,) = sql(
        "select count(distinct month) as months, count(distinct feature) as features, count(*) as n, "
        "count(psi) as n_psi "
        f"from monitoring.feature_drift where model_name = '{MODEL}' and month >= date '2011-07-01'"
    )
    (scores,) = sql(
        "select count(*) as n, min(n_reference) as n_reference from monitoring.score_drift "
        f"where model_name = '{MODEL}' and month >= date '2011-07-01'"
    )
    performance = sql(
        f"select auc, n_mature from monitoring.model_performance where model_name = '{MODEL}' and month >= '2011-07-01'"
    )

    assert drift["months"] == 6
    assert drift["n"] == drift["n_psi"] == 6 * drift["features"]
    assert scores["n"] == 6
    assert scores["n_reference"] > 20_000
    assert sum(row["n_mature"] for row in performance) == 12493
    assert all(0.6 < row["auc"] < 0.8 for row in performance)


def test_the_promoted_model_passed_every_gate_and_is_published(
    sql: Callable[[str], list[Row]], finished_home: Path
) -> None:
    deployment = json.loads((finished_home / "deployment" / "lending_club" / "deployment.json").read_text())
    gates = sql(
        "select gate, passed from monitoring.gate_results "
        f"where model_name = '{MODEL}' and model_version = {deployment['model_version']}"
    )

    assert deployment["model_name"] == MODEL
    assert (finished_home / deployment["bundle"] / "bundle.json").is_file()
    assert gates
    assert all(row["passed"] for row in gates)


def test_no_column_written_after_the_decision_is_a_feature(sql: Callable[[str], list[Row]]) -> None:
    rows = sql(
        "select column_name from information_schema.columns "
        "where table_schema = 'training' and table_name = 'trn_default_v2'"
    )

    names = {row["column_name"] for row in rows}
    # the file's own names; payments on earlier accounts (total_paid_3m) are statements from before the decision
    late = (
        "total_pymnt",
        "total_rec",
        "recover",
        "last_",
        "out_prncp",
        "collection",
        "settlement",
        "hardship",
        "loan_status",
    )
    assert names
    assert not [name for name in names if str(name).startswith(late)]
