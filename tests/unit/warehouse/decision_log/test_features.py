"""Features of decisions are typed columns of the lake, to the bit, or the decision stays in the log."""

import math
from contextlib import closing

import msgspec
import pytest

from tests.logged_contract import publish_contract
from tests.unit.warehouse.decision_log.test_outbox import A_DECISION, decision, lake_ids, log
from warehouse import decision_log
from warehouse.decision_log import Decision, ShadowDecision
from warehouse.decision_log.json_text import dump_values
from warehouse.errors import LakeError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

TABLE = "serving.decision_features_v2"
TYPES = {"amount": "double", "months": "integer", "balance": "bigint", "is_renter": "boolean", "purpose": "varchar"}


def described(decision_id: str, **features: object) -> Decision:
    features = {**dict.fromkeys(TYPES), **features}
    return msgspec.structs.replace(
        A_DECISION, decision_id=decision_id, feature_version="v2", features=dump_values(features)
    )


@pytest.fixture
def home_of_v2(home: Settings) -> Settings:
    publish_contract(home, A_DECISION.model_name, A_DECISION.model_version, TYPES)
    return home


def test_features_come_back_from_the_lake_to_the_bit(home_of_v2: Settings) -> None:
    decisions = [
        described("d-1", amount=0.1 + 0.2, months=3, balance=2**53 + 1, is_renter=True, purpose="a 'car', \u00e9"),
        described("d-2", amount=math.nan, months=0, is_renter=False, purpose=""),
        described("d-3", amount=-math.inf, purpose="NaN"),
        described("d-4", amount=-0.0),
        described("d-5", amount=5e-324),
    ]
    log(home_of_v2, decisions)

    decision_log.ingest_into_lake(home_of_v2)
    home_of_v2.outbox.unlink()

    assert [decision_log.find_decision(home_of_v2, each.decision_id) for each in decisions] == decisions


def test_the_table_of_a_version_appears_with_its_types_and_descriptions(home_of_v2: Settings) -> None:
    log(home_of_v2, [described("d-1")])

    decision_log.ingest_into_lake(home_of_v2)

    with connect(home_of_v2) as con:
        columns = con.execute(
            "select column_name, lower(data_type), comment from duckdb_columns() "
            "where table_name = 'decision_features_v2' order by column_index"
        ).fetchall()
    assert [(name, data_type) for name, data_type, _ in columns] == [("decision_id", "varchar"), *TYPES.items()]
    assert [comment for *_, comment in columns[1:]] == [f"{name}." for name in TYPES]


def test_shadows_are_described_beside_decisions(home_of_v2: Settings) -> None:
    shadow = ShadowDecision(**{**msgspec.structs.asdict(described("s-1")), "answered_decision_id": "d-1"})
    with closing(decision_log.create(home_of_v2)) as connection:
        decision_log.append(connection, [described("d-1")], shadows=[shadow])

    decision_log.ingest_into_lake(home_of_v2)

    assert lake_ids(home_of_v2, table=TABLE) == ["d-1", "s-1"]


def test_a_feature_that_was_added_gets_a_column(home_of_v2: Settings) -> None:
    log(home_of_v2, [described("d-1", amount=1.5)])
    decision_log.ingest_into_lake(home_of_v2)
    publish_contract(home_of_v2, A_DECISION.model_name, 4, {**TYPES, "rate": "double"})
    added = msgspec.structs.replace(described("d-2", rate=0.5), model_version=4)

    log(home_of_v2, [added])
    decision_log.ingest_into_lake(home_of_v2)

    with connect(home_of_v2) as con:
        assert con.execute(f"select decision_id, rate from {TABLE} order by 1").fetchall() == [
            ("d-1", None),
            ("d-2", 0.5),
        ]


@pytest.mark.parametrize(
    ("types", "features", "reason"),
    [
        ({**TYPES, "amount": "integer"}, {}, "amount must be double, as decisions were logged: found integer"),
        (TYPES, {"another": 1.0}, "another"),
        (TYPES, {"months": "three"}, "three"),
    ],
)
def test_what_a_table_cannot_hold_stays_in_the_log(home_of_v2: Settings, types, features, reason: str) -> None:
    log(home_of_v2, [described("d-1")])
    decision_log.ingest_into_lake(home_of_v2)
    publish_contract(home_of_v2, A_DECISION.model_name, A_DECISION.model_version, types)
    log(home_of_v2, [described("d-2", **features)])

    with pytest.raises(LakeError, match=reason):
        decision_log.ingest_into_lake(home_of_v2)

    assert decision_log.count_pending(home_of_v2) == 1
    assert lake_ids(home_of_v2) == lake_ids(home_of_v2, table=TABLE) == ["d-1"]


def test_a_bundle_that_is_gone_is_needed_for_the_first_decisions_of_a_version_alone(home: Settings) -> None:
    contract = home.bundles / A_DECISION.model_name / str(A_DECISION.model_version) / "contract.json"
    log(home, [decision(1)])
    decision_log.ingest_into_lake(home)
    contract.unlink()

    log(home, [decision(2)])
    decision_log.ingest_into_lake(home)
    log(home, [described("d-3")])

    with pytest.raises(LakeError, match="features v2 need the contract of default_risk_simulated version 3"):
        decision_log.ingest_into_lake(home)
    assert lake_ids(home, table="serving.decision_features_v1") == ["d-1", "d-2"]


def test_a_decision_whose_features_are_gone_is_an_error(home: Settings) -> None:
    log(home, [decision(1)])
    decision_log.ingest_into_lake(home)
    home.outbox.unlink()
    with writer("a mistake", home) as con:
        con.execute("delete from serving.decision_features_v1")

    with pytest.raises(LakeError, match="decision_features_v1 lacks decision d-1"):
        decision_log.find_decision(home, "d-1")
