"""Skew notices one bit of one logged feature, and how far the history used was from the history known."""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from ml.bundle.logged_values import dump_features
from ml.bundle.scorer import Scorer
from ml.judging.gate import Evidence, GateLimits
from ml.judging.gates import LoggedFeaturesEqualRecomputed
from ml.monitoring.feature_skew import (
    FeatureSkew,
    compare_history,
    logged_evidence,
    measure_feature_skew,
    record_feature_skew,
)
from ml.monitoring.logged_features import compare_logged_features
from ml.monitoring.samples import MonitoredModel
from ml.monitoring.skew_sql import ANY
from ml.registry.deployment import bundle_directory
from tests.model_factory import CONTRACT, MODEL_NAME, SOURCE, input_rows, publish_model, shared_bundle
from tests.unit.ml.judging.test_gates import EXACT, PARITY, _evaluation
from warehouse.decision_log.features import keep_features
from warehouse.decision_log.json_text import dump_values
from warehouse.errors import MonitoringError
from warehouse.features.columns import InputColumn
from warehouse.lake.connection import connect, current_snapshot, prepare
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

MODEL, CHALLENGER = MonitoredModel(SOURCE, MODEL_NAME, 1), MonitoredModel(SOURCE, MODEL_NAME, 2)
JANUARY, FEBRUARY = date(2024, 1, 1), date(2024, 2, 1)
INGESTED = datetime(2024, 3, 1)
N_DECISIONS = 120
#: Where DuckDB's query would stop with an error: the logarithm of nothing.
LOGARITHM = replace(
    CONTRACT, sql=CONTRACT.sql.replace("requested_amount,\n", "ln(requested_amount) as requested_amount,\n", 1)
)


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a published model, its online decisions of two months, and their history in the lake."""
    home = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("decided") / "home")})
    publish_model(home)
    scorer = Scorer(shared_bundle())
    rows = [
        {
            "decision_id": f"d-{number:03}",
            "decided_at": datetime(2024, 1, 1) + timedelta(days=number // 2),
            "source": SOURCE,
            "application_id": row["application_id"],
            "inputs": dump_values(row),
            "features": dump_features(scorer.features(row), scorer.contract),
            "model_name": MODEL_NAME,
            "model_version": 1,
            "feature_version": "v1",
            "route": "online",
            "features_as_of": datetime(2024, 1, 1) + timedelta(days=number // 2) - timedelta(hours=12),
            "ingested_at": INGESTED,
        }
        for number, row in enumerate(input_rows(N_DECISIONS))
    ]
    types = program_tables()["serving.predictions"]
    with connect(home, read_only=False) as con:
        prepare(con)
        con.register("decided", pa.Table.from_pylist(rows))
        columns = [column for column in rows[0] if column != "features"]
        casts = ", ".join(f"{column}::{types[column]}" for column in columns)
        con.execute(f"insert into serving.predictions ({', '.join(columns)}) select {casts} from decided")
        keep_features(con, home, "decided")
        con.execute("""
            create table core.known_history as
            select decision_id, source, decided_at,
                (inputs::json ->> 'max_months_past_due_6m')::integer as max_months_past_due_6m,
                (inputs::json ->> 'purpose_default_rate')::double as purpose_default_rate
            from serving.predictions""")
        con.execute("create view monitoring.decision_history as from core.known_history")
        con.execute("create table core.int_applications (source varchar, known_at timestamp, decided_at timestamp)")
        for table in ("int_application_versions", "int_statements", "int_outcome_versions"):
            con.execute(f"create table core.{table} (source varchar, known_at timestamp)")
    return home


@pytest.fixture
def lake(home: Settings, decided: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake of a copy of that home."""
    shutil.copytree(decided.home, home.home)
    with connect(home, read_only=False) as con:  # no lease, so that what is tested can take it
        yield con


def _measured(con: duckdb.DuckDBPyConnection, model: MonitoredModel = MODEL) -> dict[tuple[str, str, int], FeatureSkew]:
    rows = measure_feature_skew(con, CONTRACT, model, snapshot=current_snapshot(con))
    return {(row.kind, row.column_name, row.month.month): row for row in rows}


def _shadow(con: duckdb.DuckDBPyConnection) -> None:
    """Version 2 in shadow of the decisions of January."""
    con.execute("""
        insert into serving.shadow_predictions by name
        select * replace ('s-' || decision_id as decision_id, 2 as model_version), decision_id as answered_decision_id
        from serving.predictions where decided_at < timestamp '2024-02-01'""")
    con.execute("""
        insert into serving.decision_features_v1 by name
        select * replace ('s-' || decision_id as decision_id) from serving.decision_features_v1
        where decision_id in (select answered_decision_id from serving.shadow_predictions)""")
    con.execute("""
        insert into core.known_history by name
        select * replace ('s-' || decision_id as decision_id) from core.known_history
        where decided_at < timestamp '2024-02-01'""")


def _change(con: duckdb.DuckDBPyConnection, column: str, key: str, value: object, decision: str = "d-007") -> None:
    """Another value of a feature or input of one decision; ids that begin with ``s-`` are of the challenger."""
    if column == "features":
        con.execute(f"update serving.decision_features_v1 set {key} = $1 where decision_id = $2", [value, decision])
        return
    table = "serving.shadow_predictions" if decision.startswith("s-") else "serving.predictions"
    [(text,)] = con.execute(f"select {column} from {table} where decision_id = $1", [decision]).fetchall()
    changed = json.dumps({**json.loads(text), key: value})
    con.execute(f"update {table} set {column} = $1 where decision_id = $2", [changed, decision])


def test_decisions_made_as_the_warehouse_says_show_no_skew(lake):
    measured = _measured(lake)

    assert sum(row.n_decisions for key, row in measured.items() if key[:2] == ("logged_features", ANY)) == N_DECISIONS
    assert [key for key, row in measured.items() if row.n_different] == []
    assert {key[1] for key in measured if key[0] == "logged_features"} == {ANY, *CONTRACT.feature_names}
    assert {key[1] for key in measured if key[0] == "history_freshness"} == {
        ANY, "max_months_past_due_6m", "purpose_default_rate",
    }  # fmt: skip
    assert measured["history_freshness", ANY, 1].mean_age_days == 0.5


def test_a_lenders_own_history_is_compared_beside_the_shared_one(lake):
    own = InputColumn("n_bounced_3m", "integer", "Bounced payments.", "history")
    contract = replace(CONTRACT, version=f"v1_{SOURCE}", inputs=(*CONTRACT.inputs, own))
    lake.execute(
        f"create view monitoring.decision_history_{SOURCE} as select 'd-007' as decision_id, 2 as n_bounced_3m"
    )
    _change(lake, "inputs", "n_bounced_3m", 1)

    tallies = compare_history(lake, contract, MODEL)

    found = tallies[JANUARY, "n_bounced_3m"]
    assert (found.n_decisions, found.n_different, found.examples) == (62, 1, ("d-007",))
    assert tallies[JANUARY, "max_months_past_due_6m"].n_different == 0


def test_one_bit_of_one_logged_feature_is_found(lake):
    [(amount,)] = lake.execute(
        "select (inputs::json ->> 'requested_amount')::double from serving.predictions where decision_id = 'd-007'"
    ).fetchall()
    _change(lake, "features", "requested_amount", math.nextafter(amount, math.inf))

    measured = _measured(lake)

    different = {key: row.n_different for key, row in measured.items() if row.n_different}
    assert different == {("logged_features", ANY, 1): 1, ("logged_features", "requested_amount", 1): 1}
    found = measured["logged_features", "requested_amount", 1]
    assert json.loads(found.examples) == ["d-007"]
    assert found.max_absolute_difference == pytest.approx(math.ulp(amount))


@pytest.mark.parametrize(
    ("key", "value"),
    [("income_verified", None), ("purpose", "debt"), ("term_months", 7), ("purpose_default_rate", -0.0)],
)
def test_a_logged_feature_of_any_type_is_compared(lake, key, value):
    """Zero and its negative are equal to SQL, and not to the bit."""
    _change(lake, "inputs", key, {"income_verified": True, "purpose": "car", "term_months": 12}.get(key, 0.0))
    _change(lake, "features", key, value)

    assert _measured(lake)["logged_features", key, 1].n_different == 1


def test_a_feature_missing_on_one_side_says_on_which(lake):
    _change(lake, "features", "requested_amount", None)

    found = _measured(lake)["logged_features", "requested_amount", 1]

    assert (found.n_different, found.n_missing_online, found.n_missing_offline) == (1, 1, 0)
    assert found.max_absolute_difference is None


def test_a_text_that_is_no_json_costs_only_its_own_decision(lake):
    lake.execute("update serving.predictions set inputs = '{\"term_months\":' where decision_id = 'd-007'")

    found = _measured(lake)["logged_features", ANY, 1]

    assert (found.n_different, json.loads(found.examples)) == (1, ["d-007"])


def test_a_decision_on_which_duckdb_stops_costs_only_itself(lake):
    _change(lake, "inputs", "requested_amount", 0.0)

    tallies = compare_logged_features(lake, LOGARITHM, MODEL)

    n_decisions = sum(found.n_decisions for (_, name), found in tallies.items() if name == ANY)
    n_computed = sum(found.n_decisions for (_, name), found in tallies.items() if name == "requested_amount")
    assert (n_decisions, n_computed) == (N_DECISIONS, N_DECISIONS - 1)


def test_a_text_that_no_row_survives_is_an_error(lake):
    lake.execute(
        "update serving.predictions set inputs = replace(inputs, '\"requested_amount\":', '\"requested_amount\":-')"
    )

    with pytest.raises(MonitoringError, match=r"more than 100 decisions with features v1: .*logarithm"):
        compare_logged_features(lake, LOGARITHM, MODEL)


def test_history_that_came_late_is_counted_with_its_distance(lake):
    lake.execute(
        "update core.known_history set max_months_past_due_6m = max_months_past_due_6m + 2 "
        "where decision_id <= 'd-009' and max_months_past_due_6m is not null"
    )
    lake.execute("update core.known_history set purpose_default_rate = 0.5 where purpose_default_rate is null")
    rows = input_rows(N_DECISIONS)[:62]
    n_late = sum(row["max_months_past_due_6m"] is not None for row in rows[:10])
    n_unknown = sum(row["purpose_default_rate"] is None for row in rows)

    measured = _measured(lake)

    late = measured["history_freshness", "max_months_past_due_6m", 1]
    assert (late.n_decisions, late.n_different, late.mean_absolute_difference) == (62, n_late, 2.0)
    unknown = measured["history_freshness", "purpose_default_rate", 1]
    assert (unknown.n_different, unknown.n_missing_online) == (n_unknown, n_unknown)
    assert measured["logged_features", ANY, 1].n_different == 0


def test_batch_decisions_are_not_compared(lake):
    """They are written from the warehouse's own features."""
    lake.execute("update serving.predictions set route = 'backfill'")

    assert _measured(lake) == {}


def test_what_a_challenger_scored_in_shadow_is_compared_by_its_own_version(lake, home):
    publish_model(home, version=2)
    _shadow(lake)
    _change(lake, "features", "term_months", 13, decision="s-d-007")
    lake.execute("update core.known_history set purpose_default_rate = 0.5 where decision_id = 's-d-009'")

    of_champion, of_challenger = _measured(lake), _measured(lake, CHALLENGER)
    lake.close()
    recorded = record_feature_skew(home, SOURCE)
    evidence = logged_evidence(home, SOURCE, since=INGESTED)

    assert [key for key, row in of_champion.items() if row.n_different] == []
    assert {key: json.loads(row.examples) for key, row in of_challenger.items() if row.n_different} == {
        ("logged_features", ANY, 1): ["s-d-007"],
        ("logged_features", "term_months", 1): ["s-d-007"],
        ("history_freshness", ANY, 1): ["s-d-009"],
        ("history_freshness", "purpose_default_rate", 1): ["s-d-009"],
    }
    assert set(recorded.rows) == {MODEL, CHALLENGER}
    assert (evidence.n_decisions, evidence.n_different) == (N_DECISIONS + 62, 1)


def test_the_gate_refuses_a_wrong_feature_until_it_is_old(lake, home):
    _change(lake, "features", "term_months", 13, decision="d-000")
    _change(lake, "features", "term_months", 13, decision="d-119")
    lake.close()

    recent = logged_evidence(home, SOURCE, since=INGESTED - timedelta(days=30))
    mended = logged_evidence(home, SOURCE, since=INGESTED + timedelta(seconds=1))

    gates = {
        name: LoggedFeaturesEqualRecomputed().decide(Evidence(_evaluation(), (), PARITY, EXACT, found), GateLimits())
        for name, found in {"recent": recent, "mended": mended}.items()
    }
    assert not gates["recent"].passed
    assert "2 of 120 online decisions differ (term_months in 1 decisions" in gates["recent"].found
    assert "such as d-" in gates["recent"].found
    assert gates["mended"].passed
    assert gates["mended"].found == "0 of 0 online decisions differ"


def test_a_version_without_its_bundle_is_named_and_not_judged(lake, home):
    shutil.rmtree(bundle_directory(home, MODEL_NAME, 1))
    lake.close()

    assert record_feature_skew(home, SOURCE).without_bundle == (MODEL,)
    assert logged_evidence(home, SOURCE, since=INGESTED).n_without_bundle == N_DECISIONS


def test_what_is_recorded_is_what_was_measured_and_measuring_again_does_nothing(lake, home):
    _change(lake, "features", "term_months", 13)

    first = record_feature_skew(home, SOURCE)
    stored, snapshot = lake.execute("from monitoring.feature_skew").fetchall(), current_snapshot(lake)
    second = record_feature_skew(home, SOURCE)

    assert len(stored) == len(first.rows[MODEL])
    assert first.months == {MODEL: (JANUARY, FEBRUARY)}
    assert (second.months, second.rows) == ({}, first.rows)
    assert current_snapshot(lake) == snapshot


def test_only_months_that_a_late_row_concerns_are_measured_again(lake, home):
    first = record_feature_skew(home, SOURCE)
    lake.execute("insert into core.int_statements values ('simulated', timestamp '2024-02-01')")
    lake.execute("update core.known_history set purpose_default_rate = 0.5")

    second = record_feature_skew(home, SOURCE)

    assert second.months == {MODEL: (FEBRUARY,)}
    assert [row for row in second.rows[MODEL] if row.month == JANUARY] == [
        row for row in first.rows[MODEL] if row.month == JANUARY
    ]
    assert {row.month for row in second.rows[MODEL] if row.n_different} == {FEBRUARY}
    assert record_feature_skew(home, SOURCE).months == {}
