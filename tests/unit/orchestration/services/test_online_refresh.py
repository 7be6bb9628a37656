"""The thread that refreshes the online store: rows that come during a build have the next one, and failures pass."""

import threading
import time
from collections.abc import Callable

import pytest

from orchestration.services import online_refresh
from orchestration.services.online_refresh import OnlineRefresh
from warehouse.errors import DbtProjectError
from warehouse.settings import Settings


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(online_refresh, "have_dbt_ready", lambda: None)
    monkeypatch.setattr(online_refresh, "_SECONDS_AFTER_A_FAILURE", 0.01)
    return []


def test_rows_that_come_during_a_build_have_another(
    home: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    builds, goes_on = [], threading.Semaphore(0)
    refresh = OnlineRefresh(home, said.append)
    monkeypatch.setattr(refresh, "refresh", lambda: (builds.append(1), goes_on.acquire()))

    refresh.start()
    refresh.ask()
    wait_for(lambda: len(builds) == 1)
    refresh.ask()
    refresh.ask()
    assert refresh.unserved_seconds() > 0
    goes_on.release(2)
    wait_for(lambda: len(said) == 2)

    assert len(builds) == 2
    assert refresh.unserved_seconds() == 0


def test_a_failing_build_is_reported_once_and_tried_again(
    home: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = iter([DbtProjectError("a test failed"), DbtProjectError("a test failed"), None])

    def build() -> None:
        if (error := next(results)) is not None:
            raise error

    refresh = OnlineRefresh(home, said.append)
    monkeypatch.setattr(refresh, "refresh", build)
    refresh.start()
    refresh.ask()
    wait_for(lambda: refresh.unserved_seconds() == 0)

    wait_for(lambda: len(said) == 2)
    assert said[0] == "the online store stays as it is: a test failed"
    assert said[1].startswith("online store refreshed")
