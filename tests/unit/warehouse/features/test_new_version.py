"""The next version of the features, in a copy of the project's files that a version touches."""

import shutil
from pathlib import Path

import pytest
import yaml

from warehouse.errors import ContractError
from warehouse.features.new_version import FEATURES_YAML, create_version
from warehouse.settings import DBT_PROJECT_DIR


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
