"""Calls are counted once, whoever counts them: in a file of the machine, or on a Redis server."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from serving.overload import call_counts
from serving.overload.call_counts import CALLER_BYTES, CallCounts, MachineCounts
from serving.overload.rate_limits import open_counts
from serving.overload.redis_counts import RedisCounts
from warehouse.settings import Settings

ONE, OTHER = b"1" * CALLER_BYTES, b"2" * CALLER_BYTES


@pytest.fixture(params=["machine", "redis"])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A home that counts calls in each way."""
    settings: Settings = request.getfixturevalue("home" if request.param == "machine" else "redis_home")
    yield settings
    if settings.redis_url is not None:
        with redis.Redis.from_url(settings.redis_url) as client:
            for name in client.scan_iter(f"{settings.redis_prefix}:calls:*"):
                client.delete(name)


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[tuple[CallCounts, CallCounts]]:
    """The counts as two processes open them."""
    first, second = open_counts(settings), open_counts(settings)
    yield first, second
    await first.close()
    await second.close()


def run(body: Callable[[CallCounts, CallCounts], Awaitable[None]], settings: Settings) -> None:
    async def running() -> None:
        async with two_processes(settings) as (first, second):
            await body(first, second)

    asyncio.run(running())


def test_each_caller_is_counted_over_all_that_count(settings: Settings) -> None:
    async def body(first: CallCounts, second: CallCounts) -> None:
        of_one = [(await counts.count(ONE)).n for counts in (first, second, first)]
        of_other = (await second.count(OTHER)).n

        assert (of_one, of_other) == ([1, 2, 3], 1)

    run(body, settings)


def test_a_window_is_a_minute_from_the_first_call(settings: Settings) -> None:
    async def body(first: CallCounts, second: CallCounts) -> None:
        opened = await first.count(ONE)
        later = await second.count(ONE)

        assert 59 < opened.seconds_left <= 60
        assert 0 < later.seconds_left <= opened.seconds_left

    run(body, settings)


def counted(path: Path, *times: float) -> list[int]:
    """What is counted of one caller at these times."""
    clock = iter(times)

    async def body() -> list[int]:
        counts = MachineCounts(path, clock=lambda: next(clock))
        found = [(await counts.count(ONE)).n for _ in times]
        await counts.close()
        return found

    return asyncio.run(body())


def test_the_next_window_begins_at_one(tmp_path: Path) -> None:
    assert counted(tmp_path / "calls", 1000.0, 1059.9, 1060.0, 1119.9, 1200.0) == [1, 2, 1, 2, 1]


def test_a_machine_started_anew_begins_at_one(tmp_path: Path) -> None:
    """The file stays, and the machine's clock begins at nought again: nobody must wait for the old time to come."""
    assert counted(tmp_path / "calls", 500_000.0) == [1]

    assert counted(tmp_path / "calls", 20.0, 21.0) == [1, 2]


@pytest.mark.parametrize("left", [b"", b"torn", b"\xff" * 5000])
def test_whatever_bytes_a_crash_left_are_a_table(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "calls").write_bytes(left)

    assert counted(tmp_path / "calls", 1000.0, 1001.0)[1] - counted(tmp_path / "calls", 1002.0)[0] == -1


def test_more_callers_than_a_bucket_holds_push_out_the_oldest_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_counts, "_BUCKETS", 1)
    callers = [number.to_bytes(CALLER_BYTES, "little") for number in range(9)]
    clock = iter(float(second) for second in range(100, 200))

    async def body() -> list[int]:
        counts = MachineCounts(tmp_path / "calls", clock=lambda: next(clock))
        for caller in callers:
            await counts.count(caller)
        return [(await counts.count(caller)).n for caller in (callers[8], callers[1], callers[0])]

    assert asyncio.run(body()) == [2, 2, 1]


COUNT_WHEN_TOLD = """
import asyncio, sys
from pathlib import Path
from serving.overload.call_counts import MachineCounts

async def main():
    counts = MachineCounts(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.read()
    for _ in range(20_000):
        last = await counts.count(b"1" * 16)
    print(last.n)

asyncio.run(main())
"""


def test_processes_at_once_lose_no_call(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNT_WHEN_TOLD, str(tmp_path / "calls")]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()

    ends = [int(process.stdout.read()) for process in processes if process.stdout is not None]

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert max(ends) == 60_000


def test_without_its_server_a_machine_counts_for_itself(redis_home: Settings) -> None:
    """A limit that asks a server which is gone must neither refuse everybody nor let everything through."""
    gone = replace(redis_home, redis_url="redis://127.0.0.1:1/0")

    async def body(first: CallCounts, second: CallCounts) -> None:
        assert isinstance(first, RedisCounts)
        assert [(await counts.count(ONE)).n for counts in (first, first, second)] == [1, 2, 3]

    run(body, gone)
