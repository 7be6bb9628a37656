"""Erasing from the lake, where a build is not needed to see it."""

import json
import re
from datetime import timedelta

import msgspec
import pytest

from orchestration.people.export import export_person
from tests.logged_contract import publish_contract
from tests.unit.warehouse.decision_log.test_outbox import A_DECISION, decision, lake_ids, log
from warehouse.decision_log import ingest_into_lake
from warehouse.lake.connection import DEV, attach, connect, writer
from warehouse.lake.dev_lakes import of_dev_lake
from warehouse.lake.maintenance import maintain
from warehouse.people.erasure import LakeErasure, erase
from warehouse.people.person import Person, find_person, rows_held
from warehouse.people.pseudonyms import pseudonyms
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier

ANN = Person("b-ann", {"a-ann"})


def _erase(home: Settings, person: Person, *, is_renamed: bool = False) -> dict[str, int]:
    with writer("test", home) as con:
        names = pseudonyms(home, {"b-", "a-"}) if is_renamed else None
        what = LakeErasure(person, tuple(rows_held(home, con, person)), names=names)
        return erase(con, what, lines={}, rewritten={}, record=lambda counts: None)


def test_no_byte_is_left_where_a_table_loses_its_last_row(home: Settings) -> None:
    """The catalog keeps the least and the greatest value of each column, also of a table that is empty by now."""
    with writer("test", home) as con:
        con.execute(
            "insert into monitoring.walk_forward_decisions by name select 'main' as run, 'a-ann' as application_id"
        )
        con.execute(
            "create table core.int_applications as from (values ('b-ann', 'a-ann')) t(borrower_id, application_id)"
        )

    counts = _erase(home, ANN)
    maintain(home, retention=timedelta(0), grace=timedelta(0))

    assert counts == {"core.int_applications": 1, "monitoring.walk_forward_decisions": 1}
    files = [path for path in home.home.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"a-ann" in path.read_bytes()] == []
    with writer("test", home) as con:  # a table that was emptied takes rows again, and finds them
        con.execute("insert into core.int_applications values ('b-bob', 'a-bob'), ('b-zoe', 'a-zoe')")
    with connect(home) as con:
        found = con.execute("select application_id from core.int_applications where borrower_id > 'b-c'").fetchall()
    assert found == [("a-zoe",)]


@pytest.mark.parametrize("is_renamed", [False, True])
def test_the_features_of_a_decision_that_names_no_borrower_go_with_it(home: Settings, is_renamed: bool) -> None:
    publish_contract(home, A_DECISION.model_name, A_DECISION.model_version, {"loan_to_income": "double"})
    log(home, [msgspec.structs.replace(A_DECISION, application_id="a-ann"), decision(2)])
    ingest_into_lake(home)

    _erase(home, Person("b-ann", {"a-ann"}), is_renamed=is_renamed)

    decided, described = (lake_ids(home, table=f"serving.{name}") for name in ("predictions", "decision_features_v1"))
    assert decided == described
    assert (len(decided), "d-1" in decided, "d-2" in decided) == (2 if is_renamed else 1, False, True)


def test_an_export_shows_what_peoples_own_lakes_hold(home: Settings) -> None:
    """They are copies, whose SQL may keep what production has dropped."""
    with writer("test", home) as con:
        con.execute("create table core.int_applications as select 'b-ann' as borrower_id, 'a-ann' as application_id")
    with connect(home) as con:
        attach(con, of_dev_lake(home, "ada"), read_only=False, name=DEV)
        con.execute("create schema dev.trial")
        con.execute("create table dev.trial.t as select application_id, 7 as a from lake.core.int_applications")

    found = export_person(home, "b-ann", by="tests")

    assert found["dev_lakes"] == {"ada": {"trial.t": [{"application_id": "a-ann", "a": 7}]}}
    with connect(home) as con:
        counts = con.execute("select counts from serving.person_requests").fetchall()[0][0]
    assert json.loads(counts)["trial.t of ada"] == 1


def test_a_person_goes_from_a_schema_whatever_it_is_called(home: Settings) -> None:
    schemas = ['"x"_core', "anna.k_core", "ci-bot_core"]
    with writer("test", home) as con:
        for schema in schemas:
            applications = identifier(schema, "int_applications")
            con.execute(f"create schema {identifier(schema)}")
            con.execute(f"create table {applications} as select 'b-ann' as borrower_id, 'a-ann' as application_id")

    with connect(home) as con:
        ann = find_person(home, con, "b-ann")
    shown = export_person(home, "b-ann", by="tests")["lake"]
    counts = _erase(home, ann)
    maintain(home, retention=timedelta(0), grace=timedelta(0))

    row = {"borrower_id": "b-ann", "application_id": "a-ann"}
    assert shown == {f"{schema}.int_applications": [row] for schema in schemas}
    assert counts == {f"{schema}.int_applications": 1 for schema in schemas}
    files = [path for path in home.home.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"a-ann" in path.read_bytes()] == []


@pytest.fixture
def refused(home: Settings) -> Settings:
    """What is left of a batch in the lake when its files have gone: a row of Ann's and one that shows her id."""
    with writer("test", home) as con:
        con.execute(
            "insert into serving.batch_scores (batch_id, row_number, application_id, borrower_id, problem) values "
            """('b', 1, 'a-ann', 'b-ann', '{"found":"a-ann"}'), ('b', 2, 'a-bob', null, '{"found":"b-ann"}'), """
            "('b', 3, 'a-zoe', 'b-zoe', null)"
        )
    return home


def test_a_row_that_was_refused_is_reached_by_its_borrower(refused: Settings) -> None:
    """No decision, no online record and no loaded file tells whose application it was."""
    with connect(refused) as con:
        ann = find_person(refused, con, "b-ann")

    counts = _erase(refused, ann)
    maintain(refused, retention=timedelta(0), grace=timedelta(0))

    assert (ann.application_ids, counts) == ({"a-ann"}, {"serving.batch_scores": 1})
    with connect(refused) as con:
        left = con.execute("select application_id, problem from serving.batch_scores order by row_number").fetchall()
    assert left == [("a-bob", '{"found":"erased"}'), ("a-zoe", None)]
    files = [path for path in refused.home.rglob("*") if path.is_file()]
    assert [path.name for path in files if re.search(rb"[ab]-ann", path.read_bytes())] == []


def test_a_row_that_was_refused_keeps_no_id_under_a_pseudonym(refused: Settings) -> None:
    _erase(refused, ANN, is_renamed=True)

    with connect(refused) as con:
        first, second, _ = con.execute(
            "select application_id, borrower_id, problem from serving.batch_scores order by row_number"
        ).fetchall()
    names = pseudonyms(refused, {"b-", "a-"})
    assert first == (names.of("a-ann"), names.of("b-ann"), '{"found":"erased"}')
    assert second == ("a-bob", None, '{"found":"erased"}')
