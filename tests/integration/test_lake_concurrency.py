"""Processes that read and write one lake at once: nobody fails, nobody waits for a writer that is dead."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from warehouse.errors import LakeBusyError
from warehouse.lake.connection import connect, lease, writer
from warehouse.settings import Settings

N_WRITERS, N_READERS, N_COMMITS, N_READS = 3, 3, 4, 15

HOLDER = """
import time
from warehouse.lake.connection import writer
with writer("a writer to be killed") as con:
    con.execute("begin")
    con.execute("insert into core.t select 1")
    print("holding", flush=True)
    time.sleep(600)
"""


def write_rows(home: Settings, process: int) -> int:
    """Commit rows one transaction at a time; returns how many commits went through."""
    for commit in range(N_COMMITS):
        with writer(f"writer {process}", home) as con:
            con.execute("insert into core.t select ?", [process * N_COMMITS + commit])
    return N_COMMITS


def read_rows(home: Settings) -> list[int]:
    """Row counts as seen by one reader, each in a new snapshot."""
    with connect(home) as con:
        return [int(con.execute("select count(*) from core.t").fetchall()[0][0]) for _ in range(N_READS)]


def test_six_processes_read_and_write_without_one_failure(home: Settings) -> None:
    """Without the lease 102 to 190 of 310 commits were lost; readers, too, met "database is locked"."""
    with writer("a test", home) as con:
        con.execute("create table core.t (a bigint)")

    with ProcessPoolExecutor(N_WRITERS + N_READERS, mp_context=multiprocessing.get_context("spawn")) as processes:
        writes = [processes.submit(write_rows, home, process) for process in range(N_WRITERS)]
        reads = [processes.submit(read_rows, home) for _ in range(N_READERS)]
        committed = sum(write.result(timeout=300) for write in writes)
        seen = [read.result(timeout=300) for read in reads]

    with connect(home) as con:
        rows = con.execute("select a from core.t order by a").fetchall()
    assert [a for (a,) in rows] == list(range(committed))
    assert all(counts == sorted(counts) for counts in seen)


@pytest.fixture
def held_lake(home: Settings) -> Iterator[tuple[Settings, int]]:
    """A lake whose lease another process holds, in the middle of a transaction; that process is killed at the end."""
    with writer("a test", home) as con:
        con.execute("create table core.t (a bigint)")
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        try:
            yield replace(home, lease_seconds=0.3), holder.pid
        finally:
            holder.kill()


def test_a_writer_that_waited_too_long_is_told_for_whom(held_lake: tuple[Settings, int]) -> None:
    home, pid = held_lake

    with pytest.raises(LakeBusyError, match=rf"still held by 'a writer to be killed' \(process {pid}, since "):  # noqa: SIM117
        with writer("a second writer", home):
            pass


def test_readers_do_not_wait_for_a_writer(held_lake: tuple[Settings, int]) -> None:
    home, _ = held_lake

    with connect(home) as con:
        assert con.execute("select count(*) from core.t").fetchone() == (0,)


def test_a_killed_writer_frees_the_lease_and_leaves_nothing_half_written(held_lake: tuple[Settings, int]) -> None:
    home, pid = held_lake
    os.kill(pid, signal.SIGKILL)
    started = time.monotonic()

    with writer("the next", replace(home, lease_seconds=30)) as con:
        assert con.execute("select count(*) from core.t").fetchone() == (0,)

    assert time.monotonic() - started < 15


def test_the_lease_of_one_home_is_not_that_of_another(held_lake: tuple[Settings, int]) -> None:
    home, _ = held_lake
    other = replace(home, home=home.home.parent / "other")

    with lease("a writer elsewhere", other):
        pass
