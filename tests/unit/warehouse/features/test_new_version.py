"""The next version of the features, in a copy of the project's files that a version touches."""

import shutil
from pathlib import Path

import pytest
import yaml

from warehouse.errors import ContractError
from warehouse.features.new_version import FEATURES_YAML, create_version
from warehouse.settings import DBT_PROJECT_DIR

EXTENSION = {
    "models/features/bank_2_go/ftr_application_v2_bank_2_go.sql": """\
-- One row per application of bank_2_go: the features of version 2, and its own.
select {{ features_of([features_since_1(), features_since_2(), features_of_bank_2_go()]) }}
from {{ ref('ftr_application_inputs_bank_2_go') }}
""",
    "models/features/bank_2_go/ftr_bank_2_go.yml": """\
models:
  - name: ftr_application_v2_bank_2_go
    description: The features of version 2, and its own.
    data_tests:
      - carries_the_contract: {arguments: {leading: 4, version: 2_bank_2_go}}
    columns: &features_of_bank_2_go
      - name: property_value
        description: What it is worth.

  - name: ftr_online_borrowers_bank_2_go
    description: Own history.
""",
    "models/training/bank_2_go/trn_default_v2_bank_2_go.sql": "{{ training_rows('2_bank_2_go') }}\n",
    "models/training/bank_2_go/trn_bank_2_go.yml": "models:\n  - name: trn_default_v2_bank_2_go\n    description: R.\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("macros/features", "models/features", "models/training"):
        shutil.copytree(DBT_PROJECT_DIR / folder, tmp_path / folder)
    return tmp_path


def model(project: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((project / FEATURES_YAML).read_text())["models"][0]
    return found


def test_the_version_before_is_closed_with_the_columns_it_had(project: Path) -> None:
    before = model(project)

    create_version(project)

    after = model(project)
    assert after["latest_version"] == 3
    assert isinstance(before["versions"], list)
    assert isinstance(before["columns"], list)
    columns = [column["name"] for column in before["columns"]]
    assert after["versions"] == [before["versions"][0], {"v": 2, "columns": [{"include": columns}]}, {"v": 3}]
    assert after["columns"] == before["columns"]


def test_the_new_version_has_sql_and_training_rows(project: Path) -> None:
    create_version(project)

    select = (project / "models/features/ftr_application_v3.sql").read_text()
    assert "features_of([features_since_1(), features_since_2(), features_since_3()])" in select
    assert "training_rows(3)" in (project / "models/training/trn_default_v3.sql").read_text()
    trained = yaml.safe_load((project / "models/training/trn_default.yml").read_text())["models"][0]
    assert trained["latest_version"] == 3
    assert trained["versions"][-1]["data_tests"] == [
        {"carries_the_contract": {"arguments": {"leading": 7, "version": 3}}}
    ]


def test_a_lender_that_extends_the_version_before_extends_the_new_one(project: Path) -> None:
    for path, text in EXTENSION.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)

    create_version(project)

    features, training = (project / "models/features/bank_2_go", project / "models/training/bank_2_go")
    select = (features / "ftr_application_v3_bank_2_go.sql").read_text()
    assert (
        "features_of([features_since_1(), features_since_2(), features_since_3(), features_of_bank_2_go()])" in select
    )
    assert "the features of version 3" in select
    assert "training_rows('3_bank_2_go')" in (training / "trn_default_v3_bank_2_go.sql").read_text()
    two, three, other = yaml.safe_load((features / "ftr_bank_2_go.yml").read_text())["models"]
    assert (two["name"], three["name"]) == ("ftr_application_v2_bank_2_go", "ftr_application_v3_bank_2_go")
    assert three["columns"] == two["columns"]
    assert three["data_tests"] == [{"carries_the_contract": {"arguments": {"leading": 4, "version": "3_bank_2_go"}}}]
    assert other["name"] == "ftr_online_borrowers_bank_2_go"
    # the columns stand once: a correction of a description is one of both
    assert (features / "ftr_bank_2_go.yml").read_text().count("What it is worth.") == 1


def test_an_empty_version_is_not_followed_by_another(project: Path) -> None:
    create_version(project)

    with pytest.raises(ContractError, match=r"version 3 .* has no feature of its own yet: write one in .*since_3\.sql"):
        create_version(project)


def test_a_file_in_the_way_is_named_and_nothing_is_written(project: Path) -> None:
    before = (project / FEATURES_YAML).read_text()
    (project / "models/training/trn_default_v3.sql").write_text("select 1")

    with pytest.raises(ContractError, match=r"trn_default_v3\.sql exists"):
        create_version(project)

    assert (project / FEATURES_YAML).read_text() == before
    assert not (project / "models/features/ftr_application_v3.sql").exists()
