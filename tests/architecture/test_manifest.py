"""The rules of the dbt project, read from its manifest: which layer reads which, and what may never reach a feature."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from warehouse.lake.tables import program_tables
from warehouse.settings import DBT_PROJECT_DIR

Node = Mapping[str, Any]

# layer → the layers its models may read; all may read the lenders' settings in core
READS = {
    "lenders": set[str](),
    "staging": {"lenders", "raw", "staging"},
    "core": {"lenders", "staging", "core"},
    "features": {"lenders", "core", "features"},
    "training": {"lenders", "core", "features", "training"},
}
#: Layers that nothing else reads, and that read anything.
LAST = ("portfolio", "monitoring")


@pytest.fixture(scope="module")
def manifest(dbt_manifest: Path) -> Node:
    """What ``dbt parse`` makes of the project."""
    parsed: Node = json.loads(dbt_manifest.read_text())
    return parsed


def _models(manifest: Node) -> Iterator[Node]:
    return (node for node in manifest["nodes"].values() if node["resource_type"] == "model")


def _layer(manifest: Node, unique_id: str) -> str:
    # a source's layer is its schema; a model's is its folder, whatever schema it lands in (quarantine is in raw)
    node = manifest["nodes"].get(unique_id)
    return Path(node["path"]).parts[0] if node else manifest["sources"][unique_id]["schema"]


def _ancestors(manifest: Node, unique_id: str) -> set[str]:
    parents = set(manifest["nodes"][unique_id]["depends_on"]["nodes"] if unique_id in manifest["nodes"] else ())
    return parents.union(*(_ancestors(manifest, parent) for parent in parents))


def _named(manifest: Node, *names: str) -> set[str]:
    found = {key for kind in ("nodes", "sources") for key, node in manifest[kind].items() if node["name"] in names}
    assert found, f"no model or source is named {names}"
    return found


def test_each_layer_reads_only_those_before_it(manifest: Node) -> None:
    wrong = [
        f"{model['unique_id']} reads {parent}"
        for model in _models(manifest)
        if (layer := _layer(manifest, model["unique_id"])) not in LAST
        for parent in model["depends_on"]["nodes"]
        if _layer(manifest, parent) not in READS[layer]
    ]

    assert wrong == []


def test_what_may_be_missing_has_a_name_fit_for_an_applicant(manifest: Node) -> None:
    """A declined applicant reads it; without one, they would read the column's own name."""
    [inputs] = [model for model in _models(manifest) if model["name"] == "ftr_application_inputs"]
    unnamed = [
        name
        for name, column in inputs["columns"].items()
        if (meta := column["config"]["meta"])["origin"] in ("request", "history", "cohort") and not meta.get("label")
    ]

    assert unnamed == []


@pytest.mark.parametrize(
    "forbidden", [("int_demographics",), ("simulated_truth", "stg_simulated__truth")], ids=["demographics", "truth"]
)
def test_nothing_a_model_is_fitted_on_knows(manifest: Node, forbidden: tuple[str, ...]) -> None:
    """Demographics are for fairness audits; the simulated lender's true probabilities for judging the judges."""
    hidden = _named(manifest, *forbidden)

    knowing = [
        model["unique_id"]
        for model in _models(manifest)
        if _layer(manifest, model["unique_id"]) in ("features", "training")
        and _ancestors(manifest, model["unique_id"]) & hidden
    ]

    assert knowing == []


def test_labels_enter_only_in_training(manifest: Node) -> None:
    readers = [
        model["unique_id"]
        for model in _models(manifest)
        if _layer(manifest, model["unique_id"]) not in ("training", *LAST)
        and _ancestors(manifest, model["unique_id"]) & _named(manifest, "lbl_default")
    ]

    assert readers == []


def test_what_others_build_on_is_under_contract(manifest: Node) -> None:
    """The four lender-neutral contracts and every version of the feature table: dbt refuses a changed type."""
    loose = [
        model["unique_id"]
        for model in _models(manifest)
        if model["name"].startswith("int_") or model["name"] in ("ftr_application", "ftr_application_inputs")
        if not model["config"]["contract"]["enforced"]
    ]

    assert loose == []


def test_the_feature_table_is_one_select_over_its_inputs(manifest: Node) -> None:
    """What the request path compiles must depend on nothing else."""
    versions = [model for model in _models(manifest) if model["name"] == "ftr_application"]

    assert versions
    for model in versions:
        assert [parent.rpartition(".")[2] for parent in model["depends_on"]["nodes"]] == ["ftr_application_inputs"]


@pytest.mark.parametrize("column", ["purpose", "home_ownership"])
def test_a_category_has_the_same_values_in_every_layer(manifest: Node, column: str) -> None:
    """A value that core accepts and the contract does not know would be an unseen category to every model."""
    (accepted,) = (
        node["test_metadata"]["kwargs"]["values"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["name"].startswith(f"accepted_values_int_applications_{column}__")
    )

    lists = [
        model["columns"][column]["config"]["meta"]["values"]
        for model in _models(manifest)
        if model["name"] in ("ftr_application_inputs", "ftr_application")
    ]

    assert len(lists) > 1
    assert all(values == accepted for values in lists)


def test_purposes_are_typed_as_they_are_accepted(manifest: Node) -> None:
    macro = manifest["macros"]["macro.loanlake.accepted_purposes"]["macro_sql"]
    inputs = manifest["nodes"]["model.loanlake.ftr_application_inputs"]

    assert re.findall(r"'(\w+)'", macro) == inputs["columns"]["purpose"]["config"]["meta"]["values"]


def test_every_model_and_column_is_described(manifest: Node) -> None:
    silent = [model["unique_id"] for model in _models(manifest) if not model["description"]]
    silent += [
        f"{model['unique_id']}.{column['name']}"
        for model in _models(manifest)
        for column in model["columns"].values()
        if not column["description"]
    ]

    assert silent == []


def test_tables_that_programs_write_are_sources_of_dbt_and_described_column_by_column(manifest: Node) -> None:
    described = {
        f"{node['schema']}.{node['name']}": {
            name: bool(column["description"]) for name, column in node["columns"].items()
        }
        for node in manifest["sources"].values()
    }

    for table, columns in program_tables().items():
        assert described[table] == dict.fromkeys(columns, True)


def test_the_documentation_opens_on_a_page_of_our_own(manifest: Node) -> None:
    """dbt's stock page says nothing about the warehouse; a link that leads to no model is a blank page."""
    page = manifest["docs"]["doc.loanlake.__overview__"]["block_contents"]

    linked = re.findall(r"#!/model/(\S+?)\)", page)
    assert {*READS, "raw", *LAST} - {"lenders"} <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert len(linked) >= 3
    assert [each for each in linked if each not in manifest["nodes"]] == []


#: On Spark, which has no databases above its schemas, the views of production's raw tables.
PRODUCTION = "{{ 'lake' if target.type == 'duckdb' else none }}"


def test_every_source_is_productions(manifest: Node) -> None:
    """An analyst's build has a lake of its own; a source that does not name production's would be looked for there."""
    elsewhere = [key for key, node in manifest["sources"].items() if node["database"] != "lake"]
    unnamed = [
        str(path.relative_to(DBT_PROJECT_DIR))
        for path in sorted((DBT_PROJECT_DIR / "models").rglob("*.yml"))
        if re.search(r"^sources:", text := path.read_text(), re.MULTILINE)
        and text.count("\n    schema: ") != text.count(f'\n    database: "{PRODUCTION}"')
    ]

    assert (elsewhere, unnamed) == ([], [])
