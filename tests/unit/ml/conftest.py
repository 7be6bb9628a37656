"""Fixtures of the fitted mathematics."""

from collections.abc import Iterator

import pytest

from tests.unit.ml.decisions_lake import Bank
from warehouse.lake.connection import connect, prepare
from warehouse.settings import Settings


@pytest.fixture
def bank(home: Settings) -> Iterator[Bank]:
    """A lake to fill with training rows, decisions and labels."""
    with connect(home, read_only=False) as con:
        prepare(con)
        yield Bank(home, con)


@pytest.fixture
def aliases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where MLflow's champion alias was moved; MLflow itself is in tests/integration/test_registry.py."""
    moved: list[tuple[str, int]] = []
    monkeypatch.setattr("ml.registry.registry.set_champion", lambda _, name, version: moved.append((name, version)))
    monkeypatch.setattr("ml.registry.registry.drop_challenger", lambda *_: None)
    monkeypatch.setattr("ml.registry.registry.set_challenger", lambda *_: None)
    return moved
