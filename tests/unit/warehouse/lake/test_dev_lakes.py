"""A person's own lake beside production's: found, read, kept small and dropped, and never mixed with production's."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from warehouse.commands import drop_lake, list_dev_lakes, sql
from warehouse.errors import LakeBusyError, NotFoundError
from warehouse.lake.connection import DEV, attach, connect, lease, writer
from warehouse.lake.dev_lakes import dev_lakes, drop_dev_lake, of_dev_lake
from warehouse.lake.maintenance import maintain
from warehouse.settings import Settings


@pytest.fixture
def ada(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Production with one raw row, and Ada's lake with a table of it; hers is the environment's."""
    monkeypatch.setenv("LOANLAKE_DEV_NAME", "ada")
    with writer("a test", home) as con:
        con.execute("insert into raw.files (file) values ('loans.csv')")
    own = of_dev_lake(home, "ada")
    with connect(home) as con:
        attach(con, own, read_only=False, name=DEV)
        con.execute("create schema dev.staging")
        con.execute("create table dev.staging.files as from lake.raw.files")
        con.execute("create view dev.staging.names as select file from lake.raw.files")
    return own


def test_it_is_found_by_the_name_of_its_owner(home: Settings, ada: Settings) -> None:
    assert dev_lakes(home) == ["ada"]
    assert Path(ada.lake_data).is_relative_to(home.home / "dev" / "ada")


def test_its_files_are_not_among_those_that_productions_maintenance_deletes(home: Settings, ada: Settings) -> None:
    """What no snapshot of production knows goes as an orphan."""
    maintain(home, retention=timedelta(0), grace=timedelta(0))

    with connect(ada) as con:
        assert con.execute("select count(*) from staging.files").fetchone() == (1,)


def test_beside_a_data_path_of_its_own_its_files_lie_elsewhere_too(home: Settings, tmp_path: Path) -> None:
    elsewhere = replace(home, lake_data=f"{tmp_path}/parquet/")

    assert of_dev_lake(elsewhere, "ada").lake_data == f"{tmp_path}/parquet-dev/ada/"


def test_it_is_read_as_dev_beside_the_lake(ada: Settings) -> None:
    query = "select dev.staging.files.file, names.file from dev.staging.files, dev.staging.names, raw.files"

    done = CliRunner().invoke(sql, [query, "--format", "csv"])

    assert done.output.splitlines()[1:] == ["loans.csv,loans.csv"]


def test_the_shell_lists_its_tables_by_the_names_that_queries_use(ada: Settings) -> None:
    done = CliRunner().invoke(sql, input=".tables\n")

    assert [line.split()[:2] for line in done.output.splitlines() if "staging" in line and "files" in line] == [
        ["dev.staging", "files"]
    ]


def test_its_owner_drops_it(home: Settings, ada: Settings) -> None:
    assert CliRunner().invoke(list_dev_lakes).output == "ada (yours)\n"

    assert CliRunner().invoke(drop_lake).output == "the dev lake of ada is dropped\n"

    assert dev_lakes(home) == []
    assert not ada.home.exists()
    with connect(home) as con:
        assert con.execute("select count(*) from raw.files").fetchone() == (1,)
    with pytest.raises(NotFoundError, match="'ada' has no dev lake; in this home nobody has one"):
        drop_dev_lake(home, "ada")


def test_it_is_not_dropped_while_its_owner_builds(home: Settings, ada: Settings) -> None:
    with (
        lease("dbt build", ada),
        pytest.raises(LakeBusyError, match="held by 'dbt build'"),
    ):
        drop_dev_lake(replace(home, lease_seconds=0.1), "ada")

    assert dev_lakes(home) == ["ada"]
