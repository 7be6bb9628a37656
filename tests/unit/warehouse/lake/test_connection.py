"""Readers read, writers write in turn, and a home holds nothing but its own."""

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import LakeError, NoLakeError
from warehouse.lake.connection import connect, current_snapshot, extension_path, prepare, writer
from warehouse.lake.maintenance import maintain
from warehouse.lake.tables import program_tables
from warehouse.raw import PROVENANCE_COLUMNS, raw_columns
from warehouse.settings import Settings, memory_bytes


def test_a_reader_of_an_empty_home_is_told_how_to_make_a_lake(home: Settings) -> None:
    with pytest.raises(NoLakeError, match=r"no lake at .*catalog\.sqlite: run `loanlake ingest`"):
        connect(home)

    assert not home.home.exists()


@pytest.mark.parametrize(
    "catalog",
    [
        "host=127.0.0.1 port=1 user=lender password='hunter 2'",
        "postgresql://lender:hunter%202@127.0.0.1:1/lake",
    ],
)
def test_why_a_catalog_cannot_be_opened_is_said_without_its_password(home: Settings, catalog: str) -> None:
    """Callers of the API are told it, and DuckDB quotes the whole connection string."""
    with pytest.raises(LakeError, match=r"cannot be opened: .*LOANLAKE_CATALOG.* port 1 failed") as refused:
        connect(replace(home, catalog=catalog))

    assert "hunter" not in str(refused.value)
    assert refused.value.__suppress_context__, "a traceback would show it"


def test_the_first_writer_creates_all_promised_tables_in_one_snapshot(home: Settings) -> None:
    with writer("a test", home) as con:
        rows = con.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
        snapshot = current_snapshot(con)

    assert {name for (name,) in rows} >= {*program_tables(), *raw_columns()}
    assert snapshot == 1


def test_opening_a_prepared_lake_for_writing_commits_nothing(home: Settings) -> None:
    """Every snapshot is a version that a training set may name: an empty one is noise."""
    with writer("a test", home) as con:
        before = current_snapshot(con)

    with writer("a test", home) as con:
        after = current_snapshot(con)

    assert after == before


def test_a_raw_table_that_was_dropped_comes_back_empty(home: Settings) -> None:
    with writer("a test", home) as con:
        con.execute("drop table raw.lending_club_loans")
        prepare(con)
        columns = con.execute("select column_name from (describe raw.lending_club_loans)").fetchall()

    assert [name for (name,) in columns] == [*raw_columns()["raw.lending_club_loans"], *PROVENANCE_COLUMNS]


def test_a_reader_cannot_write(home: Settings) -> None:
    with writer("a test", home):
        pass

    with connect(home) as con, pytest.raises(duckdb.InvalidInputException, match="read-only mode"):
        con.execute("drop table raw.files")


def test_a_writer_that_fails_before_its_commit_leaves_nothing(home: Settings) -> None:
    def fail_half_way() -> None:
        with writer("a test", home) as con:
            con.execute("begin")
            con.execute("create table core.half (a integer)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    with connect(home) as con:
        found = con.execute("select count(*) from information_schema.tables where table_name = 'half'").fetchone()
    assert found == (0,)


def test_a_table_rebuilt_since_can_be_read_as_of_its_snapshot(home: Settings) -> None:
    """A model names a snapshot: its training set must come back after dbt has replaced the table."""
    with writer("a test", home) as con:
        con.execute("create table training.t as select 1 as a")
        snapshot = current_snapshot(con)
        con.execute("create or replace table training.t as select 2 as a")

    with connect(home) as con:
        old = con.execute(f"select a from training.t at (version => {snapshot})").fetchone()
        new = con.execute("select a from training.t").fetchone()

    assert (old, new) == ((1,), (2,))


def test_two_homes_share_nothing(tmp_path: Path) -> None:
    one = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / "one")})
    other = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / "other")})

    with writer("a test", one) as con_one, writer("a test", other) as con_other:
        con_one.execute("create table core.mine (a integer)")
        found = con_other.execute("select count(*) from information_schema.tables where table_name = 'mine'").fetchone()

    assert found == (0,)


def test_the_copy_of_a_home_reads_and_writes_its_own_files(home: Settings, tmp_path: Path) -> None:
    """DuckLake's catalog remembers its data as a whole path: a copy used to read the files of the original."""
    with writer("a test", home) as con:
        con.execute("create table core.t as select range as a from range(1000)")
    shutil.copytree(home.home, tmp_path / "copy")
    copy = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / "copy")})
    shutil.rmtree(home.home)

    with writer("a test", copy) as con:
        con.execute("insert into core.t select range from range(500)")
    with connect(copy) as con:
        n_rows = con.execute("select count(distinct filename), count(*) from core.t").fetchone()

    assert n_rows == (2, 1500)


def test_data_put_elsewhere_by_a_setting_is_not_forgotten_with_it(home: Settings, tmp_path: Path) -> None:
    """A writer that lacks LOANLAKE_LAKE_DATA would otherwise split the lake over two places."""
    elsewhere = replace(home, lake_data=f"{tmp_path / 'big-disk'}/")
    with writer("a test", elsewhere) as con:
        con.execute("create table core.t as select range as a from range(1000)")

    with pytest.raises(LakeError, match="does not match existing data path"), writer("a test", home):
        pass

    with connect(home) as con:
        assert con.execute("select count(*) from core.t").fetchone() == (1000,)


def _with_rows(home: Settings) -> None:
    with writer("a test", home) as con:
        con.execute("create table core.t as select range as a from range(1000)")


def _files(home: Settings) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_size) for path in (home.home / "lake").rglob("*") if path.is_file()}


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_lost_catalog_is_not_made_anew(home: Settings, is_empty: bool) -> None:
    """A new catalog knows none of the data files, and maintenance deletes those that it does not know."""
    _with_rows(home)
    home.lake_catalog.unlink()
    if is_empty:
        home.lake_catalog.touch()
    wal = home.lake_catalog.with_name("catalog.sqlite-wal")
    wal.write_bytes(b"commits that the catalog lacks")
    before = _files(home)
    found = "it is empty" if is_empty else "it is missing"

    with pytest.raises(LakeError, match=rf"{found}, and a lake was here.*Restore it with its -wal"):
        connect(home, read_only=False)
    with pytest.raises(LakeError, match=found) as refused:
        connect(home)
    with pytest.raises(LakeError, match=found):
        maintain(home, retention=timedelta(0), grace=timedelta(0))

    assert not isinstance(refused.value, NoLakeError)
    assert _files(home) == before


def test_a_log_of_commits_alone_is_a_lost_catalog_too(home: Settings) -> None:
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.with_name("catalog.sqlite-wal").write_bytes(b"commits")

    with pytest.raises(LakeError, match="it is missing, and a lake was here"):
        connect(home, read_only=False)


def test_a_database_without_a_lake_beside_data_files_is_a_lost_catalog_too(home: Settings) -> None:
    _with_rows(home)
    for path in home.lake_catalog.parent.glob("catalog.sqlite*"):
        path.unlink()
    with closing(sqlite3.connect(home.lake_catalog)) as con:
        con.execute("create table other (a)")

    with pytest.raises(LakeError, match="it holds no lake, and a lake was here"):
        connect(home, read_only=False)


def test_a_lake_whose_first_writer_was_killed_is_made_by_the_next(home: Settings) -> None:
    """Killed at any moment of it, from the first byte of the catalog to before the first table."""
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.touch()
    connect(home, read_only=False).close()

    _with_rows(home)

    with connect(home) as con:
        assert con.execute("select count(*) from core.t").fetchone() == (1000,)


def test_a_damaged_catalog_is_a_lake_error(home: Settings) -> None:
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.write_bytes(b"not a database, but long enough to be looked at" * 100)

    with pytest.raises(LakeError, match="the lake's catalog cannot be opened"):
        connect(home)


def test_times_are_utc_on_every_cursor_wherever_the_machine_stands(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting of the session alone would not reach cursors, on which dbt runs its models."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with writer("a test", home) as con:
            zones = [each.execute("select current_setting('TimeZone')").fetchone() for each in (con, con.cursor())]
    finally:
        monkeypatch.undo()
        time.tzset()

    assert zones == [("UTC",), ("UTC",)]


def test_large_queries_spill_into_the_home_and_print_no_bar(home: Settings) -> None:
    """DuckDB's defaults: .tmp in the working directory, and after two seconds a bar in the middle of a query's JSON."""
    with writer("a test", home) as con:
        found = con.execute(
            "select current_setting('temp_directory'), current_setting('enable_progress_bar')"
        ).fetchone()

    assert found == (str(home.spill), False)


def test_a_query_takes_the_share_of_memory_it_was_given(home: Settings) -> None:
    small = replace(home, query_memory_share=100 * 2**20 / memory_bytes())
    with writer("a test", small) as con:
        limit = con.execute("select current_setting('memory_limit')").fetchone()

    assert limit in [("100.0 MiB",), ("99.9 MiB",)]


def test_a_missing_extension_names_the_package_to_install() -> None:
    with pytest.raises(LakeError, match="package duckdb-extension-nonesuch of the same version"):
        extension_path("nonesuch")


@pytest.fixture
def copied_extension(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the extension ducklake, which connections of this home load in its place."""
    copy = Path(shutil.copy(extension_path("ducklake"), tmp_path))
    monkeypatch.setattr(
        "warehouse.lake.connection.extension_path", lambda name: copy if name == "ducklake" else extension_path(name)
    )
    return copy


def test_an_extension_that_was_changed_since_it_was_verified_is_refused(home: Settings, copied_extension: Path) -> None:
    """A process verifies each file once; it must not trust a path."""
    with writer("a test", home):
        pass
    connect(home).close()

    _tamper_with(copied_extension)

    with pytest.raises(duckdb.IOException, match="signature is either missing or invalid"):
        connect(home)


def test_no_connection_loads_an_unsigned_extension_afterwards(home: Settings, tmp_path: Path) -> None:
    """Least of all one whose own extensions this process had already verified."""
    with writer("a test", home):
        pass
    unsigned = Path(shutil.copy(extension_path("httpfs"), tmp_path))
    _tamper_with(unsigned)

    for _ in range(2):
        with connect(home) as con:
            with pytest.raises(duckdb.InvalidInputException, match="while database is running"):
                con.execute("set allow_unsigned_extensions = true")
            with pytest.raises(duckdb.IOException, match="signature is either missing or invalid"):
                con.execute(f"load '{unsigned}'")


def _tamper_with(extension: Path) -> None:
    with extension.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))


def test_another_connection_that_closes_leaves_the_locks_of_those_that_stay(home: Settings) -> None:
    """Python's SQLite looked into the catalog and closed it: all locks of DuckDB's in the process were gone with it.

    The lock asked for is the one by which SQLite knows that somebody uses the shared memory of a journal (byte 128).
    """
    script = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'r+') as file:\n"
        "    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)\n"
    )
    command = [sys.executable, "-c", script, f"{home.lake_catalog}-shm"]
    with writer("a test", home) as con:
        con.execute("begin")
        con.execute("create table features.x as select 1 as i")
        connect(home).close()
        taken = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "BlockingIOError" in taken.stderr


def test_a_moved_home_whose_catalog_does_not_answer_is_an_error(home: Settings) -> None:
    """Taken for one that never moved, it would go on with the files of the home it was copied from."""
    with writer("a test", home):
        pass
    moved = replace(home, home=home.home.with_name("moved"))
    moved = replace(moved, lake_data=moved.default_lake_data)
    shutil.copytree(home.home, moved.home)
    content = bytearray(moved.lake_catalog.read_bytes())
    content[200:] = b"x" * (len(content) - 200)  # its header is whole
    moved.lake_catalog.write_bytes(content)

    with pytest.raises(LakeError, match="the lake's catalog cannot be opened"):
        connect(moved)


def test_a_lake_that_is_being_made_is_not_there_yet(home: Settings) -> None:
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.touch()

    with pytest.raises(NoLakeError, match="holds no lake"):
        connect(home)


@pytest.mark.parametrize("name", ["a#b", """a b"o'hara[a]*{a,b}é;&=@:"""])
def test_a_copied_home_of_any_name_leaves_the_originals_files_alone(tmp_path: Path, name: str) -> None:
    """With "#" in its path it was not recognised as moved: it read, and deleted, the files that it was copied from."""
    original = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / name / "home")})
    with writer("a test", original) as con:
        con.execute("create table core.t as select range as a from range(1000)")
    copy = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / name / "copy")})
    shutil.copytree(original.home, copy.home)
    before = sorted(Path(original.lake_data).rglob("*"))

    with writer("a test", copy) as con:
        con.execute("drop table core.t")
        con.execute("create table core.mine as select 1 as a")
        con.execute("call ducklake_expire_snapshots('lake', older_than => now())")
        con.execute("call ducklake_cleanup_old_files('lake', cleanup_all => true)")

    assert sorted(Path(original.lake_data).rglob("*")) == before
    with connect(original) as con:
        assert con.execute("select count(*) from core.t").fetchone() == (1000,)
    with connect(copy) as con:
        assert con.execute("from core.mine").fetchone() == (1,)
