"""Which raw lines a build of a keyed table reads again."""

from types import SimpleNamespace

import pytest

from tests.unit.warehouse.macros import macros_within


def _node(name: str, kind: str, reads: list[str], *, by_load: bool) -> SimpleNamespace:
    config = SimpleNamespace(materialized=kind, meta={"by_load": True} if by_load else {})
    return SimpleNamespace(
        name=name, resource_type="model", config=config, depends_on=SimpleNamespace(nodes=reads),
        database="lake", schema="core", identifier="", alias=name,
    )  # fmt: skip


def test_outcomes_reported_over_http_are_not_followed_by_their_load() -> None:
    """They have none: DuckDB would say only that a column _loaded_at does not exist."""
    staging = _node("stg_bank__outcomes", "view", ["source.reports"], by_load=True)
    reports = SimpleNamespace(
        resource_type="source", database="lake", schema="serving", identifier="reported_outcomes", alias=None
    )
    versions = _node("int_outcome_versions", "keyed", ["model.outcomes"], by_load=False)
    graph = SimpleNamespace(nodes={"model.outcomes": staging}, sources={"source.reports": reports})
    relation = SimpleNamespace(create=lambda **names: f"{names['schema']}.{names['identifier']}")
    called = macros_within(graph=graph, model=versions, api=SimpleNamespace(Relation=relation))

    with pytest.raises(ValueError, match=r"reads serving\.reported_outcomes, .* remove by_load from the meta"):
        called["newly_loaded"](SimpleNamespace(redefined=False))
