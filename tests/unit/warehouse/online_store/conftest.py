"""A home for each kind of online store."""

from collections.abc import Iterator

import pytest

from tests.unit.warehouse.online_store.opened_store import Opened
from warehouse.online_store import open_store
from warehouse.settings import Settings


@pytest.fixture(params=["lmdb", "redis"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """A home for each kind of store: every test that takes it, or ``store``, runs on both."""
    found: Settings = request.getfixturevalue("home" if request.param == "lmdb" else "redis_home")
    return found


@pytest.fixture
def store(settings: Settings) -> Iterator[Opened]:
    with Opened(open_store(settings)) as opened:
        yield opened
