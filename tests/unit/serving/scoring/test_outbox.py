"""The decision log and its second copy hold the same decisions, whatever fails between the two."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serving.http.problems import Unavailable
from serving.scoring.outbox import Outbox
from serving.telemetry.metrics import Metrics
from tests.unit.warehouse.decision_log.test_outbox import decision
from warehouse.decision_log.second_copy import SecondCopy, read_copies
from warehouse.settings import Settings


@pytest.fixture
def copied(home: Settings, tmp_path: Path) -> Settings:
    """A home whose decisions are copied elsewhere."""
    return replace(home, decision_copy=tmp_path / "copy")


def with_outbox(settings: Settings, do: Callable[[Outbox], Awaitable[None]]) -> None:
    async def use() -> None:
        outbox = Outbox(settings, metrics=Metrics(), most_waiting=10)
        try:
            await do(outbox)
        finally:
            await outbox.close()

    asyncio.run(use())


def in_copy(settings: Settings) -> list[str]:
    assert settings.decision_copy is not None
    return [each.entry.decision_id for each in read_copies(settings.decision_copy)]


def test_a_decision_that_cannot_be_copied_is_not_made(copied: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated request with its key would get it from the log, though the copy lacks it."""

    def full(_self: SecondCopy, _rows: object) -> None:
        raise OSError("full")

    async def refuse_then_decide(outbox: Outbox) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(SecondCopy, "append", full)
            with pytest.raises(Unavailable):
                await outbox.add_keyed("key", decision(1))
        assert outbox.find("d-1") is None

        assert await outbox.add_keyed("key", decision(2)) == decision(2)

    with_outbox(copied, refuse_then_decide)

    assert in_copy(copied) == ["d-2"]


def test_a_key_that_became_free_meanwhile_answers_with_no_decision_that_nobody_kept(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses the decision for the key's first one, which is pruned before it is read."""
    answers = iter([False, None])
    monkeypatch.setattr("serving.scoring.outbox.TeamServer.call", lambda *_: next(answers))

    async def decide(outbox: Outbox) -> None:
        with pytest.raises(Unavailable, match="nothing was decided: retry"):
            await outbox.add_keyed("key", decision(1))

    with_outbox(replace(home, catalog="host=127.0.0.1 port=1"), decide)


def test_a_decision_that_came_second_with_its_key_is_not_copied(copied: Settings) -> None:
    async def decide_twice(outbox: Outbox) -> None:
        await outbox.add_keyed("key", decision(1))

        assert await outbox.add_keyed("key", decision(2)) == decision(1)

    with_outbox(copied, decide_twice)

    assert in_copy(copied) == ["d-1"]
