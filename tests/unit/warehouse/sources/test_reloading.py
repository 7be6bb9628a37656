"""Rows of a lost data file come back from the landing files, the same rows with the same provenance."""

import io
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from orchestration.services.status import status_text
from warehouse.commands import reload
from warehouse.errors import QueryError, SourceFileError
from warehouse.lake.connection import connect
from warehouse.lake.data_files import lost_files
from warehouse.lake.maintenance import maintain
from warehouse.settings import Settings
from warehouse.sources import ingest_files
from warehouse.sources.reloading import damaged_raw_tables, reload_table
from warehouse.sql.query import run_query

TABLE = "raw.mybank_loans"
ROWS = f"select * from {TABLE} order by all"


@pytest.fixture
def loaded(home: Settings, tmp_path: Path) -> Settings:
    """Two files of one kind, and one of another."""
    for name, rows in (("march.csv", "id,amount\n1,100\n2,200\n"), ("april.csv", "id,amount\n1,150\n")):
        (tmp_path / name).write_text(rows)
    (tmp_path / "people.csv").write_text("id,name\n1,Ann\n")
    ingest_files("mybank", [tmp_path / "march.csv", tmp_path / "april.csv"], home, "loans")
    ingest_files("mybank", [tmp_path / "people.csv"], home, "people")
    return home


def data_file(home: Settings) -> Path:
    return min(Path(home.lake_data).joinpath("raw", "mybank_loans").rglob("*.parquet"))


def test_lost_rows_come_back_with_their_file_line_and_time(loaded: Settings) -> None:
    with connect(loaded) as con:
        before = con.execute(ROWS).fetchall()
    data_file(loaded).unlink()
    with connect(loaded) as con, pytest.raises(duckdb.IOException):
        con.execute(ROWS).fetchall()
    assert damaged_raw_tables(loaded) == [TABLE]

    done = reload_table(loaded, TABLE)

    assert (done.n_files, done.n_rows, done.n_rows_before) == (2, 3, 3)
    with connect(loaded) as con:
        assert con.execute(ROWS).fetchall() == before
        assert lost_files(con, loaded) == []
    assert damaged_raw_tables(loaded) == []


def test_damage_within_a_file_of_the_right_size_is_found_by_reading_it(loaded: Settings) -> None:
    path = data_file(loaded)
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    said: list[str] = []

    assert damaged_raw_tables(loaded, said.append) == [TABLE]

    assert said[0].startswith(f"{TABLE}: ")


def test_status_and_a_query_say_what_is_lost_and_what_brings_it_back(loaded: Settings) -> None:
    data_file(loaded).unlink()

    assert f"{TABLE}: 1 data files are missing or cut short; `loanlake data reload` loads them again" in status_text(
        loaded
    )
    with connect(loaded) as con, pytest.raises(QueryError, match="`loanlake status` says which data files are lost"):
        run_query(con, ROWS, io.StringIO())


def test_a_landing_file_that_was_changed_is_refused_and_nothing_changes(loaded: Settings) -> None:
    landed = loaded.landing / "mybank" / "loans" / "march.csv"
    landed.chmod(0o644)
    landed.write_text("id,amount\n1,999\n")
    with connect(loaded) as con:
        before = con.execute(ROWS).fetchall()

    with pytest.raises(SourceFileError, match=r"march\.csv must be the file that was loaded on .*: found a file of"):
        reload_table(loaded, TABLE)

    with connect(loaded) as con:
        assert con.execute(ROWS).fetchall() == before


def test_a_lost_landing_file_is_landed_again_by_an_ingest_of_the_original(loaded: Settings, tmp_path: Path) -> None:
    (loaded.landing / "mybank" / "loans" / "march.csv").unlink()
    with pytest.raises(SourceFileError, match=r"it is missing\. Restore it, or give the original to `loanlake ingest"):
        reload_table(loaded, TABLE)

    (again,) = ingest_files("mybank", [tmp_path / "march.csv"], loaded, "loans")

    assert again.status == "already_loaded"
    assert reload_table(loaded, TABLE).n_rows == 3


def test_the_command_checks_then_reloads_what_is_damaged(loaded: Settings) -> None:
    data_file(loaded).unlink()

    checked = CliRunner().invoke(reload, ["--check"])
    done = CliRunner().invoke(reload, [])
    again = CliRunner().invoke(reload, [])

    assert (checked.exit_code, done.exit_code, again.exit_code) == (1, 0, 0)
    assert "it is missing" in checked.output
    assert f"{TABLE}: 3 rows loaded again from 2 landing files" in done.output
    assert "people" not in done.output
    assert again.output == "every raw table can be read whole\n"


def test_maintenance_goes_on_after_a_reload(loaded: Settings) -> None:
    """The lost file is still in the catalog, to be deleted once its snapshots have expired."""
    data_file(loaded).unlink()
    reload_table(loaded, TABLE)

    maintain(loaded, retention=timedelta(0), grace=timedelta(0))

    with connect(loaded) as con:
        assert con.execute(f"select count(*) from {TABLE}").fetchone() == (3,)
