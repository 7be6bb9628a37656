"""The real application over a home that can serve."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.decisions.freshness import HistoryPolicy
from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import ServingHome, furnish
from warehouse.settings import Settings

#: Batches of three rows and bodies of 10,000 bytes, to reach the limits; a quick look-out for tests that wait on it. No
#: age is too old: the store's clock stands in 2022.
OPTIONS = ServingOptions(batch_rows=3, body_bytes=10_000, poll_seconds=0.05, history=HistoryPolicy(max_age=None))


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> ServingHome:
    """One home for the tests of a module that leave its model and its counts alone."""
    path = tmp_path_factory.mktemp("serving")
    return furnish(Settings.from_environment({"LOANLAKE_HOME": str(path / "home")}))


@pytest.fixture(scope="module")
def client(shared_home: ServingHome) -> Iterator[TestClient[Litestar]]:
    """Authenticated with every scope."""
    yield from _client(shared_home)


@pytest.fixture
def own_home(home: Settings) -> ServingHome:
    """A home for one test alone."""
    return furnish(home)


@pytest.fixture
def own_client(own_home: ServingHome) -> Iterator[TestClient[Litestar]]:
    """The same as ``client``, over a home for one test alone."""
    yield from _client(own_home)


def _client(serving_home: ServingHome) -> Iterator[TestClient[Litestar]]:
    app = create_app(serving_home.settings, OPTIONS)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers.update(serving_home.headers)
        yield client
