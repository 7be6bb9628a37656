"""Which rows of the lake are a person's, where a build is not needed to see it."""

import json

import pytest

from warehouse.lake.connection import connect, writer
from warehouse.people.person import Person, rows_held
from warehouse.settings import Settings

MORNING, NOON = "2026-03-01 08:00:00.000001", "2026-03-01 12:00:00"


@pytest.fixture
def mybank(home: Settings) -> Settings:
    """A lender whose loans and payments come in files of one name: Ann's payment is where Bob's loan is."""
    entities = {"loans": {"loan_no": {"application": "mybank-"}}, "payments": {"payer": {"borrower": "mybank-"}}}
    manifest = {
        "nodes": {
            f"model.p.stg_mybank__{entity}": {
                "name": f"stg_mybank__{entity}",
                "resource_type": "model",
                "unique_id": f"model.p.stg_mybank__{entity}",
                "depends_on": {"nodes": [f"source.p.raw.mybank_{entity}"]},
            }
            for entity in entities
        },
        "sources": {
            f"source.p.raw.mybank_{entity}": {
                "schema": "raw",
                "identifier": f"mybank_{entity}",
                "config": {"meta": {"identifies": identifies}},
                "original_file_path": "models/mybank.yml",
            }
            for entity, identifies in entities.items()
        },
    }
    home.dbt_target.mkdir(parents=True)
    (home.dbt_target / "manifest.json").write_text(json.dumps(manifest))
    place = "'2026-03.csv' as _file, 17 as _line"
    with writer("test", home) as con:
        con.execute(
            f"create table raw.mybank_loans as select 'bob' as loan_no, {place}, timestamp '{MORNING}' _loaded_at"
        )
        con.execute(
            f"create table raw.mybank_payments as select 'ann' as payer, {place}, timestamp '{NOON}' _loaded_at"
        )
        con.execute(f"create table staging.stg_mybank__loans as select 'bob' as loan_no, {place}")
        con.execute(f"create table staging.stg_mybank__payments as select 'ann' as payer, {place}")
    return home


def _held(home: Settings) -> dict[str, list[str]]:
    """Table → whose rows of it are held to be Ann's: the first column says."""
    ann = Person("mybank-ann", sources={"mybank"})
    with connect(home) as con:
        return {
            rows.table: [row[0] for row in con.execute(f"from {rows.relation} where {rows.condition}").fetchall()]
            for rows in rows_held(home, con, ann)
        }


def test_the_same_line_of_another_kind_of_file_with_the_same_name_is_somebody_elses(mybank: Settings) -> None:
    assert _held(mybank) == {"raw.mybank_payments": ["ann"], "staging.stg_mybank__payments": ["ann"]}


def test_a_table_that_no_model_makes_any_more_is_searched_by_when_its_files_were_loaded(mybank: Settings) -> None:
    """A renamed model leaves its table behind, with everybody's rows."""
    with writer("test", mybank) as con:
        con.execute(
            "create table staging.stg_mybank__everything as "
            "select payer as who, * exclude (payer) from raw.mybank_payments union all from raw.mybank_loans"
        )

    assert _held(mybank)["staging.stg_mybank__everything"] == ["ann"]
