"""Raw rows by the ids that they become."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse.errors import ContractError
from warehouse.raw.keys import Kind, RawTable, id_in, raw_tables, read_manifest
from warehouse.settings import Settings
from warehouse.values.formats import read_id

TABLE = RawTable(
    "raw.bank_loans", "bank", {"id": {"application": "b-"}, "member": {"borrower": "b-m-"}}, frozenset({"applications"})
)


def _found(ids: dict[Any, set[str]]) -> list[str]:
    con = duckdb.connect()
    con.execute("create schema raw")
    con.execute("create table raw.bank_loans (id varchar, member varchar, amount varchar)")
    con.execute(
        "insert into raw.bank_loans values "
        "('7', 'x', '1'), (' 007.0 ', null, '1'), ('77', '7', '7'), (null, 'it''s', '1')"
    )
    condition = TABLE.rows_of(ids)
    if condition is None:
        return []
    return [str(row) for row in con.execute(f"select id, member from raw.bank_loans where {condition}").fetchall()]


def test_an_id_without_its_prefix_is_looked_for_as_text_and_as_number() -> None:
    found = _found({"application": {"b-7"}, "borrower": set()})

    assert found == ["('7', 'x')", "(' 007.0 ', None)"]


def test_a_borrower_is_looked_for_in_the_column_that_holds_borrowers() -> None:
    assert _found({"application": set(), "borrower": {"b-m-it's"}}) == ['(None, "it\'s")']


def test_a_raw_row_is_found_by_the_id_that_staging_reads_of_it() -> None:
    """Otherwise a person's rows would stay after their erasure, for a tab or another form of an accent."""
    con = duckdb.connect()
    con.execute("create table raw_ids (id varchar)")
    texts = ["\t1001.0\u00a0", "1001", "Ame\u0301lie ", "Am\u00e9lie", "\ufeff007"]
    con.executemany("insert into raw_ids values (?)", [[text] for text in texts])

    found = con.execute(f"select {id_in('id')} from raw_ids").fetchall()

    assert [text for (text,) in found] == [read_id(text) for text in texts]


def test_ids_of_another_lender_find_nothing() -> None:
    assert _found({"application": {"other-7"}, "borrower": {"other-m-x"}}) == []


def test_every_lender_says_which_raw_columns_hold_ids(dbt_manifest: Path) -> None:
    manifest = json.loads(dbt_manifest.read_text())

    found = {lender: raw_tables(manifest, lender) for lender in ("simulated", "lending_club", "uci_credit_card")}

    assert {lender: len(tables) for lender, tables in found.items()} == {
        "simulated": 5,
        "lending_club": 1,
        "uci_credit_card": 1,
    }


def test_a_home_without_a_manifest_is_given_one(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`export-borrower` demanded a `loanlake run` where `dbt build` had built all."""
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text("{name: small, profile: small, config-version: 2, model-paths: [models]}")
    (tmp_path / "profiles.yml").write_text("small: {target: prod, outputs: {prod: {type: duckdb, path: ':memory:'}}}")
    (tmp_path / "models" / "one.sql").write_text("select 1 as number")
    monkeypatch.setattr("warehouse.raw.keys.DBT_PROJECT_DIR", tmp_path)

    assert list(read_manifest(home)["nodes"]) == ["model.small.one"]


def _manifest(schema: str, table: str, path: str) -> dict[str, Any]:
    """A lender's staging model that reads one table, which declares no ids."""
    return {
        "nodes": {
            "model.p.stg_bank__loans": {
                "name": "stg_bank__loans",
                "resource_type": "model",
                "unique_id": "model.p.stg_bank__loans",
                "depends_on": {"nodes": ["source.p.read"]},
            }
        },
        "sources": {"source.p.read": {"schema": schema, "identifier": table, "config": {}, "original_file_path": path}},
    }


def test_outcomes_that_staging_reads_as_reported_are_no_raw_table() -> None:
    """Lineage, export and erasure of such a lender ended with an error."""
    manifest = _manifest("serving", "reported_outcomes", "models/monitoring/program_tables.yml")

    assert raw_tables(manifest, "bank") == []


def test_a_raw_table_that_does_not_is_refused_with_the_mend() -> None:
    manifest = _manifest("raw", "bank_loans", "models/bank.yml")

    with pytest.raises(ContractError, match=r"raw\.bank_loans must declare .* models/bank\.yml"):
        raw_tables(manifest, "bank")


def test_renamed_ids_and_emptied_columns_leave_other_rows_alone() -> None:
    table = replace(TABLE, personal=("amount",))
    ids: dict[Kind, set[str]] = {"application": {"b-7"}, "borrower": {"b-m-x"}}
    con = duckdb.connect()
    con.execute("create table loans (id varchar, member varchar, amount varchar)")
    con.execute("insert into loans values ('7', 'x', '1'), (' 007.0 ', null, '1'), ('8', 'y', '1')")

    values = table.renamed(ids, lambda name: name.replace("7", "99").replace("x", "z"))
    changes = ", ".join(f"{column} = {value}" for column, value in values.items())
    con.execute(f"update loans set {changes} where {table.rows_of(ids)}")

    assert con.execute("from loans order by id, member").fetchall() == [
        ("8", "y", "1"),
        ("99", "z", None),
        ("99", None, None),
    ]
