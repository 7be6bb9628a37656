"""When a dbt step need not build."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.warehouse import build_stamp
from orchestration.defs.warehouse.build_stamp import StampedBuild
from warehouse.lake.comments import write_comments
from warehouse.lake.connection import writer
from warehouse.settings import Settings

READS, WRITES = [dg.AssetKey(["raw", "loans"])], [dg.AssetKey(["core", "int_applications"])]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with what a step reads, what it writes, and another table."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("filled") / "home")})
    with writer("test", settings) as con:
        for table in ("raw.loans", "core.int_applications", "serving.other"):
            con.execute(f"create table {table} as select 1 as a")
        write_comments(con)  # as whatever creates a table does: the next writer would, and so change it
    return settings


@pytest.fixture
def project(home: Settings, filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project of one file, and a copy of the filled home."""
    shutil.copytree(filled.home, home.home)
    directory = tmp_path / "project"
    (directory / "models").mkdir(parents=True)
    (directory / "models" / "int_applications.sql").write_text("select 1")
    home.dbt_target.mkdir(parents=True)
    monkeypatch.setattr(build_stamp, "DBT_PROJECT_DIR", directory)
    return directory


def build(settings: Settings) -> StampedBuild:
    return StampedBuild(settings, settings.dbt_target, reads=READS, writes=WRITES)


def built(settings: Settings) -> None:
    step = build(settings)
    step.begin()
    with writer("test", settings) as con:
        con.execute("create or replace table core.int_applications as select 1 as a")
    step.finish()


def test_a_step_that_never_built_must_build(home: Settings, project: Path) -> None:
    assert build(home).reason_to_build() is not None


def test_a_step_whose_tables_are_as_it_left_them_need_not(home: Settings, project: Path) -> None:
    built(home)

    assert build(home).reason_to_build() is None


@pytest.mark.parametrize(
    ("table", "is_current"), [("raw.loans", False), ("core.int_applications", False), ("serving.other", True)]
)
def test_what_it_reads_and_what_it_wrote_must_be_unchanged(
    home: Settings, project: Path, table: str, is_current: bool
) -> None:
    """The second: an analyst's own `dbt run`, or a planted row, must not pass for the step's result."""
    built(home)
    with writer("test", home) as con:
        con.execute(f"insert into {table} values (2)")

    assert (build(home).reason_to_build() is None) == is_current


def test_a_changed_model_must_be_built(home: Settings, project: Path) -> None:
    built(home)
    (project / "models" / "int_applications.sql").write_text("select 2")

    assert build(home).reason_to_build() == "the dbt project has changed"


def test_a_lake_that_was_created_again_must_be_built(home: Settings, project: Path) -> None:
    """Prevents a lake that was loaded again, without its tables, from passing for the one that was built."""
    built(home)
    shutil.rmtree(home.lake_catalog.parent)
    with writer("test", home) as con:
        con.execute("create table raw.loans as select 1 as a")

    assert build(home).reason_to_build() is not None


def test_a_build_that_did_not_finish_leaves_no_stamp(home: Settings, project: Path) -> None:
    built(home)

    build(home).begin()

    assert build(home).reason_to_build() is not None


def test_rows_that_came_in_during_the_build_are_built_next_time(home: Settings, project: Path) -> None:
    """Prevents a file that was loaded while dbt ran from waiting for the file after it."""
    step = build(home)
    step.begin()
    with writer("test", home) as con:
        con.execute("insert into raw.loans values (2)")
    step.finish()

    assert build(home).reason_to_build() is not None
