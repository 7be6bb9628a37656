"""What can go wrong with a server: it is shared, emptied, slow, gone, or taken by another refresh."""

import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import redis

from tests.unit.warehouse.online_store.opened_store import ANN, BOB, Opened, borrowers, write_borrowers
from warehouse.errors import OnlineStoreError, OnlineStoreUnavailable, SettingError
from warehouse.online_store import open_store
from warehouse.settings import Settings


def test_two_homes_on_one_server_never_meet(redis_home: Settings, tmp_path: Path) -> None:
    other = Settings.from_environment(
        {"LOANLAKE_HOME": str(tmp_path / "other" / "home"), "LOANLAKE_REDIS_URL": str(redis_home.redis_url)}
    )
    open_store(redis_home).write("borrowers", borrowers(ANN), snapshot=7)

    with Opened(open_store(other)) as store, pytest.raises(OnlineStoreUnavailable, match="is empty"):
        store.borrower("ann")


def test_a_redis_that_lost_its_data_is_not_taken_for_one_without_borrowers(redis_home: Settings) -> None:
    with Opened(open_store(redis_home)) as store:
        write_borrowers(store, borrowers(ANN), snapshot=7)
        assert store.borrower("ann") is not None

        with redis.Redis.from_url(str(redis_home.redis_url)) as client:
            client.delete(f"{redis_home.redis_prefix}:records")

        with pytest.raises(OnlineStoreUnavailable, match="is empty"):
            store.borrower("ann")


def test_a_refresh_that_lost_its_turn_changes_nothing(redis_home: Settings) -> None:
    """Prevents a refresh that hung from deleting what a later one has written."""
    client = redis.Redis.from_url(str(redis_home.redis_url))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from borrowers(ANN)
        client.set(f"{redis_home.redis_prefix}:turn", "another")
        yield from borrowers(BOB)

    with Opened(open_store(redis_home)) as store:
        write_borrowers(store, borrowers({"borrower_id": "cleo"}), snapshot=6)
        with pytest.raises(OnlineStoreError, match=r"another refresh of the online store has taken .*:turn"):
            store.store.write("borrowers", batches(), snapshot=7)

        assert store.borrower("cleo") is not None
        assert store.borrower("ann") is None
    client.close()


def test_a_refresh_that_waits_too_long_for_its_turn_says_so(redis_home: Settings) -> None:
    impatient = replace(redis_home, lease_seconds=0.1)
    with redis.Redis.from_url(str(redis_home.redis_url)) as client:
        client.set(f"{redis_home.redis_prefix}:turn", "another")

        with pytest.raises(OnlineStoreError, match=r"another one has held .*:turn for 0\.1 s"):
            open_store(impatient).write("borrowers", borrowers(ANN), snapshot=7)


def test_a_redis_that_is_down_is_named_without_its_password(home: Settings) -> None:
    down = replace(home, redis_url="redis://someone:secret@127.0.0.1:1/0", redis_timeout_seconds=0.2)

    with Opened(open_store(down)) as store, pytest.raises(OnlineStoreUnavailable) as raised:
        store.borrower("ann")
    with pytest.raises(OnlineStoreUnavailable, match="does not answer"):
        open_store(down).write("borrowers", borrowers(ANN), snapshot=7)

    assert "redis://127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_redis_that_is_slow_is_given_up_in_time(home: Settings) -> None:
    """A server that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = replace(home, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0", redis_timeout_seconds=0.1)
        started = time.monotonic()

        with Opened(open_store(slow)) as store, pytest.raises(OnlineStoreUnavailable, match=r"within 0\.1 s"):
            store.borrower("ann")

    assert time.monotonic() - started < 2


def test_redis_without_its_client_says_what_to_install(home: Settings) -> None:
    program = textwrap.dedent(
        """
        import sys
        sys.modules["redis"] = None  # as if it were not installed
        from warehouse.online_store import open_store
        from warehouse.settings import Settings
        open_store(Settings.from_environment({"LOANLAKE_REDIS_URL": "redis://127.0.0.1"}))
        """
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "SettingError: LOANLAKE_REDIS_URL is set, which needs the package redis" in done.stderr


def test_a_url_that_is_not_of_redis_is_refused() -> None:
    with pytest.raises(SettingError, match=r"begins with redis://.* found 'http'"):
        Settings.from_environment({"LOANLAKE_REDIS_URL": "http://user:secret@127.0.0.1"})
