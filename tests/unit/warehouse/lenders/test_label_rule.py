"""The label rule is put together from whatever models dbt compiled between the inputs and the splits."""

from datetime import datetime
from typing import Any

import duckdb
import pytest

from warehouse.errors import ContractError
from warehouse.lenders.label_rule import EXPOSURES_MODEL, LabelRule

DAY = datetime(2024, 3, 1)


def node(name: str, sql: str, *reads: str) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "compiled_code": sql,
        "relation_name": f'"lake"."core"."{name}"',
        "depends_on": {"nodes": [f"model.p.{parent}" for parent in reads]},
    }


def manifest(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {f"model.p.{each['name']}": each for each in nodes}}


CLOCK = node(
    "int_clocks", """select '{"a": 1}' as note, cast('$as_of' as timestamp) as clock_at""", "int_outcome_versions"
)
SPLITS = node(
    "lbl_default_splits",
    'select id, note from "lake"."core"."int_outcome_versions" join "lake"."core"."int_clocks" on known_at <= clock_at',
    "int_clocks",
    "int_outcome_versions",
)
INPUT = node("int_outcome_versions", "select 1")
EXPOSURES = node("lbl_exposures",
                 'select id + 10 as id from "lake"."core"."int_clocks", "lake"."core"."int_outcome_versions"',
                 "int_clocks", "int_outcome_versions")  # fmt: skip


def test_it_is_asked_as_of_a_day() -> None:
    """An outcome of the day's first moment is known, one of a second later is not; braces in the SQL stay."""
    rule = LabelRule.from_manifest(manifest(SPLITS, EXPOSURES, CLOCK, INPUT))
    outcomes = (
        "(values (1, timestamp '2024-03-01 00:00:00'), (2, timestamp '2024-03-01 00:00:01')) as outcomes(id, known_at)"
    )

    inputs = {"int_outcome_versions": f"(from {outcomes})"}
    found = duckdb.sql(rule.query(DAY, inputs)).fetchall()

    assert [name for name, _ in rule.steps] == ["int_clocks", "lbl_default_splits", "lbl_exposures"]
    assert found == [(1, '{"a": 1}')]
    assert duckdb.sql(rule.query(DAY, inputs, EXPOSURES_MODEL)).fetchall() == [(11,), (12,)]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([INPUT], "must have a model lbl_default_splits"),
        ([{**SPLITS, "compiled_code": None}, CLOCK, INPUT], "model.p.lbl_default_splits is not compiled"),
        ([SPLITS, CLOCK, INPUT], "must have a model lbl_exposures, which says how long"),
        (
            [SPLITS, EXPOSURES, node("int_clocks", "select 1", "int_outcome_versions"), INPUT],
            "asks the dbt variable as_of",
        ),
        ([node("lbl_default_splits", "select 1", "a_seed")], "it reads model.p.a_seed"),
    ],
)
def test_a_project_it_cannot_be_read_from_is_refused(nodes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        LabelRule.from_manifest(manifest(*nodes))
