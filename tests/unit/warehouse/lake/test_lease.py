"""One writer at a time; who waits is told for whom."""

import os
import threading
import time
from dataclasses import replace

import pytest

from warehouse.errors import LakeBusyError
from warehouse.lake.lease import lease
from warehouse.settings import Settings


def test_a_second_writer_is_told_who_holds_the_lease(home: Settings) -> None:
    impatient = replace(home, lease_seconds=0.1)

    with (
        lease("dbt build", home),
        pytest.raises(
            LakeBusyError, match=rf"after 0.1 s .* 'dbt build' \(process {os.getpid()}, since 20.*LEASE_SECONDS"
        ),
        lease("ingest", impatient),
    ):
        pass


def test_the_lease_is_free_again_after_an_error(home: Settings) -> None:
    with pytest.raises(ZeroDivisionError), lease("a failing writer", home):
        raise ZeroDivisionError

    with lease("the next", replace(home, lease_seconds=0.1)):
        pass


def test_a_holder_that_left_is_not_named(home: Settings) -> None:
    with lease("gone", home):
        pass

    assert home.writer_lease.read_text() == ""


def test_who_waits_gets_the_lease_when_its_holder_leaves(home: Settings) -> None:
    order: list[str] = []

    def wait() -> None:
        with lease("second", home):
            order.append("second")

    with lease("first", home):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.15)
        order.append("first")
    waiting.join(timeout=10)

    assert order == ["first", "second"]
