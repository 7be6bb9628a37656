"""What ``make lint`` and dbt refuse of a feature file, before anything is built: the file, the name and the mend."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_runs import Done, dbt
from warehouse.features.contract import FeatureContract
from warehouse.features.lint import check_versions
from warehouse.features.new_version import FEATURES_YAML, create_version, macro_file
from warehouse.settings import DBT_PROJECT_DIR

Manifest = dict[str, Any]
V2 = "model.loanlake.ftr_application.v2"
FILE = "models/features/ftr_application_v2.sql"


def _compile(project: Path, home: Path) -> Done:
    """What ``make lint`` asks of dbt."""
    of_features = ("--no-introspect", "--indirect-selection", "empty", "--select", "ftr_application*")
    return dbt(
        *("--quiet", "compile", "--target", "prod", *of_features),
        *("--project-dir", project, "--profiles-dir", project),
        target=home / "target",
        logs=home / "logs",
        project=project,
        variables={"LOANLAKE_HOME": str(home)},
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, start_from_parse: Callable[[Path], None]) -> Path:
    """Where dbt keeps what it parsed: each compile parses only what changed."""
    home = tmp_path_factory.mktemp("compiled")
    start_from_parse(home / "target")
    return home


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project; tests undo what they plant."""
    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(DBT_PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs", "*.py", "__pycache__"))
    return copy


@pytest.fixture(scope="module")
def compiled(project: Path, home: Path) -> Manifest:
    """The manifest of the project as it stands, with the features' SQL."""
    done = _compile(project, home)
    assert done.returncode == 0, done.stdout
    return _manifest(home)


def _manifest(home: Path) -> Manifest:
    manifest: Manifest = json.loads((home / "target" / "manifest.json").read_text())
    return manifest


@contextmanager
def _edited(path: Path, old: str, new: str) -> Iterator[None]:
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        yield
    finally:
        path.write_text(before)


def test_every_version_of_the_project_can_be_trained_on_and_served(compiled: Manifest) -> None:
    assert check_versions(compiled) == ()


def test_an_unknown_macro_is_refused_by_dbt(compiled: Manifest, project: Path, home: Path) -> None:
    with _edited(project / FILE, "{{ features_of(", "{{ clipped("):
        done = _compile(project, home)

    assert done.returncode != 0
    assert "'clipped' is undefined" in done.stdout
    assert FILE in done.stdout


def test_a_feature_of_the_next_version_is_a_line_of_sql_and_one_of_yaml(
    compiled: Manifest, project: Path, home: Path, tmp_path: Path
) -> None:
    """After `loanlake feature new`: what is missing is named, and with the two edits nothing is."""
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    version = create_version(copy)
    entry = (
        "      - {name: monthly_income, data_type: double, description: Income a month., config: {meta: {role: "
        "feature, since: 3, range: [0, 1000000000], reason: The income is low}}}\n"
    )

    assert _compile(copy, home).returncode == 0
    empty = check_versions(_manifest(home))
    with (
        _edited(copy / macro_file(version), "-%}\n", "-%}\nannual_income / 12 as monthly_income\n"),
        _edited(copy / FEATURES_YAML, "\nunit_tests:", f"{entry}\nunit_tests:"),
    ):
        assert _compile(copy, home).returncode == 0
    manifest = _manifest(home)

    assert [message.partition(":")[0] for message in empty] == ["version 3 adds no feature yet"]
    assert check_versions(manifest) == ()
    first, second, third = (FeatureContract.from_manifest(manifest, version=version) for version in (1, 2, 3))
    assert third.feature_names == (*second.feature_names, "monthly_income")
    assert len(first.features) < len(second.features)


def _sql(old: str, new: str) -> Callable[[Manifest], None]:
    def plant(manifest: Manifest) -> None:
        node = manifest["nodes"][V2]
        assert old in node["compiled_code"]
        node["compiled_code"] = node["compiled_code"].replace(old, new)

    return plant


def _without_contract(manifest: Manifest) -> None:
    del manifest["nodes"][V2]["columns"]["residual_income"]


def _of_another_type(manifest: Manifest) -> None:
    manifest["nodes"][V2]["columns"]["residual_income"]["data_type"] = "integer"


def _without_since(manifest: Manifest) -> None:
    del manifest["nodes"][V2]["columns"]["residual_income"]["config"]["meta"]["since"]


def _since_too_late(manifest: Manifest) -> None:
    manifest["nodes"][V2]["columns"]["annual_income"]["config"]["meta"]["since"] = 2


def _since_no_version(manifest: Manifest) -> None:
    manifest["nodes"][V2]["columns"]["annual_income"]["config"]["meta"]["since"] = "v2"


def _without_training_rows(manifest: Manifest) -> None:
    del manifest["nodes"]["model.loanlake.trn_default.v2"]


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (
            _sql("late_statement\nfrom", "late_statement, median(months_since_public_record) as x\nfrom"),
            rf"{FILE}: column x: `median\(months_since_public_record\)` cannot be computed .* the function median",
        ),
        (
            _sql("late_statement\nfrom", "late_statement from t group by all\n--"),
            rf"{FILE}: a feature model is one select of scalar expressions.*found group",
        ),
        (
            _sql("late_statement\nfrom", "late_statement, income as extra\nfrom"),
            rf"{FILE}: column extra has no line in models/features/ftr_application.yml \(version v2\); add one",
        ),
        (
            _sql("    months_since_public_record,", "    months_since_public_recrd as months_since_public_record,"),
            rf"{FILE}: column months_since_public_record: .* did you mean months_since_public_record",
        ),
        (
            _without_contract,
            rf"{FILE}: column residual_income has no line in models/features/ftr_application.yml \(version v2\)",
        ),
        (
            _sql("    months_since_public_record,\n", ""),
            r"ftr_application.yml: column months_since_public_record is not selected in .*_v2.sql; select it there",
        ),
        (_of_another_type, r"ftr_application.yml: feature residual_income is declared integer, but its SQL computes"),
        (_without_since, r"column residual_income is not in version 1, .*; give it `since: 2` if it is new"),
        (_since_too_late, r"column annual_income says it exists since version 2, but version 1 has it"),
        (_since_no_version, r"ftr_application.annual_income: since must be a version, 1 or later: found 'v2'"),
        (_without_training_rows, rf"{FILE}: trn_default has no version 2, .*add trn_default_v2.sql"),
    ],
    ids=[
        "an aggregate",
        "a grouping",
        "a column beside the contract",
        "a misspelt input",
        "a column taken out of the contract",
        "a contract column without SQL",
        "another type",
        "a new column without since",
        "a since after its first version",
        "a since that is not a version",
        "no training rows",
    ],
)
def test_a_feature_file_that_could_not_be_served_is_refused(
    compiled: Manifest, plant: Callable[[Manifest], None], said: str
) -> None:
    planted = deepcopy(compiled)
    plant(planted)

    messages = check_versions(planted)

    assert messages
    assert any(re.search(said, message, re.DOTALL) for message in messages), messages
