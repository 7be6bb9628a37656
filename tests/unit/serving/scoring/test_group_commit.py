"""Rows are durable before the caller goes on, and a failing commit fails only those it carried."""

import asyncio
import threading

import pytest

from serving.scoring.group_commit import GroupCommit, TooManyWaiting


class Log:
    """Keeps the batches it was given; waits for ``gate`` and raises where told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.refuse: set[int] = set()

    def __call__(self, rows: list[int]) -> None:
        assert self.gate.wait(5)
        if self.refuse.intersection(rows):
            raise OSError("disk full")
        self.batches.append(rows)


def test_requests_that_arrive_during_a_commit_share_the_next() -> None:
    log = Log()

    async def scenario() -> None:
        log.gate.clear()
        commits = GroupCommit(log, most_waiting=100)
        requests = [asyncio.create_task(commits.add([row])) for row in range(10)]
        await asyncio.sleep(0.02)
        late = [asyncio.create_task(commits.add([row])) for row in range(10, 20)]
        await asyncio.sleep(0.02)
        log.gate.set()
        await asyncio.gather(*requests, *late)
        await commits.close()

    asyncio.run(scenario())

    assert log.batches == [list(range(10)), list(range(10, 20))]


def test_a_row_is_durable_before_its_caller_goes_on() -> None:
    log = Log()

    async def scenario() -> bool:
        log.gate.clear()
        commits = GroupCommit(log, most_waiting=100)
        request = asyncio.create_task(commits.add([1]))
        await asyncio.sleep(0.05)
        answered_early = request.done()
        log.gate.set()
        await request
        await commits.close()
        return answered_early

    assert not asyncio.run(scenario())
    assert log.batches == [[1]]


def test_a_failing_commit_fails_its_own_requests_and_not_the_next() -> None:
    log = Log()
    log.refuse = {1}

    async def scenario() -> None:
        commits = GroupCommit(log, most_waiting=100)
        with pytest.raises(OSError, match="disk full"):
            await commits.add([1])
        await commits.add([2])
        await commits.close()

    asyncio.run(scenario())

    assert log.batches == [[2]]


def test_beyond_the_limit_requests_are_refused_at_once() -> None:
    log = Log()

    async def scenario() -> int:
        log.gate.clear()
        commits = GroupCommit(log, most_waiting=3)
        first = asyncio.create_task(commits.add([1, 2]))
        await asyncio.sleep(0.01)
        with pytest.raises(TooManyWaiting, match="limit is 3"):
            await commits.add([3, 4])
        waiting = commits.n_waiting
        log.gate.set()
        await first
        await commits.add([5, 6, 7])
        await commits.close()
        return waiting

    assert asyncio.run(scenario()) == 2
    assert log.batches == [[1, 2], [5, 6, 7]]


def test_closing_makes_durable_what_still_waits() -> None:
    """A clean shutdown must not lose decisions whose clients have gone."""
    log = Log()

    async def scenario() -> None:
        commits = GroupCommit(log, most_waiting=100, most_at_once=2)
        requests = [asyncio.create_task(commits.add([row])) for row in range(5)]
        await asyncio.sleep(0)
        requests[4].cancel()
        await commits.close()

    asyncio.run(scenario())

    assert log.batches == [[0, 1], [2, 3], [4]]
