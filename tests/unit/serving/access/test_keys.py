"""Keys: shown once, stored as hashes, stopped within the poll time."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from serving.access import keys
from serving.access.keys import KeyRing, KeyStore, KeysUnreadable
from warehouse.errors import NotFoundError, SettingError
from warehouse.settings import Settings


@pytest.fixture
def store(home: Settings) -> KeyStore:
    return KeyStore(home.keys)


@pytest.fixture
def ring(store: KeyStore) -> KeyRing:
    return KeyRing(store, poll_seconds=0.0)


def test_the_file_holds_no_secret(store: KeyStore) -> None:
    text = store.create("branch office", ["score"])

    secret = text.split("_")[2]
    assert len(bytes.fromhex(secret)) == 32
    assert secret.encode() not in store.path.read_bytes()
    assert store.path.stat().st_mode & 0o077 == 0, "only the owner may read it"


def test_a_key_is_found_by_its_text_alone(store: KeyStore, ring: KeyRing) -> None:
    text = store.create("branch office", ["score", "decisions"])

    found = ring.find(text)

    assert found is not None
    assert (found.name, found.scopes) == ("branch office", {"score", "decisions"})


def test_any_other_text_finds_nothing(store: KeyStore, ring: KeyRing) -> None:
    text = store.create("branch office", ["score"])
    prefix, key_id, secret = text.split("_")
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")

    for other in [
        "",
        "x",
        key_id,
        f"{prefix}_{key_id}_",
        f"{prefix}_{key_id}_{wrong}",
        f"xx_{key_id}_{secret}",
        "ll__",
        "é_é_é",
    ]:
        assert ring.find(other) is None, other


def test_a_revoked_key_stops(store: KeyStore, ring: KeyRing) -> None:
    text = store.create("branch office", ["score"])
    found = ring.find(text)
    assert found is not None

    store.revoke(found.key_id)

    revoked = ring.find(text)
    assert revoked is not None
    assert revoked.state(datetime.now(UTC)) == "revoked"
    with pytest.raises(NotFoundError, match=found.key_id):
        store.revoke(found.key_id)


def test_an_expired_key_is_told_from_an_active_one(store: KeyStore) -> None:
    store.create("branch office", ["score"], expires_after=timedelta(days=2))
    (key,) = store.all()

    assert key.state(key.created_at + timedelta(days=1)) == "active"
    assert key.state(key.created_at + timedelta(days=2)) == "expired"


def test_a_key_made_while_the_server_runs_works_at_once(store: KeyStore) -> None:
    ring = KeyRing(store, poll_seconds=60.0)
    assert ring.find("ll_x_y") is None

    text = store.create("later", ["score"])

    assert ring.find(text) is not None


def test_a_known_key_is_looked_up_in_the_file_once_in_a_poll_time(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(store, poll_seconds=60.0)
    text = store.create("leaver", ["score"])
    found = ring.find(text)
    assert found is not None

    store.revoke(found.key_id)

    assert ring.find(text) == found
    late = keys.time.monotonic() + 61
    monkeypatch.setattr(keys.time, "monotonic", lambda: late)
    assert ring.find(text) != found


def test_keys_known_before_stay_in_force_while_the_file_cannot_be_read(store: KeyStore, ring: KeyRing) -> None:
    text = store.create("branch office", ["score"])
    assert ring.find(text) is not None

    store.path.write_bytes(b"this is not a database, and longer than a header of it would be")

    assert ring.find(text) is not None


def test_a_key_revoked_while_no_descriptor_is_left_stops(store: KeyStore) -> None:
    """A flood of connections takes every descriptor; a command in another process revokes a key meanwhile."""
    text = store.create("leaver", ["score"])
    ring = KeyRing(store, poll_seconds=0.0)
    with _revoking(store, text.split("_")[1]) as revoke, _no_descriptor_left():
        before = ring.find(text)

        revoke()

        after = ring.find(text)
    assert before is not None
    assert after is not None
    assert (before.state(datetime.now(UTC)), after.state(datetime.now(UTC))) == ("active", "revoked")


def test_no_key_is_accepted_once_the_file_was_unreadable_for_too_long(
    store: KeyStore, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = store.create("branch office", ["score"])
    ring.find(text)
    kept = store.path.read_bytes()
    store.path.write_bytes(b"this is not a database, and longer than a header of it would be")
    ring.find(text)

    late = keys.time.monotonic() + keys.MOST_SECONDS_UNREAD + 1
    monkeypatch.setattr(keys.time, "monotonic", lambda: late)

    with pytest.raises(KeysUnreadable, match="for more than 10 s"):
        ring.find(text)
    store.path.write_bytes(kept)
    assert ring.find(text) is not None


def test_a_file_that_replaces_another_is_read(store: KeyStore, ring: KeyRing) -> None:
    text = store.create("branch office", ["score"])
    assert ring.find(text) is not None

    (store.path.parent / "empty").touch()
    (store.path.parent / "empty").replace(store.path)
    new = store.create("after the restoration", ["score"])

    assert ring.find(text) is None
    assert ring.find(new) is not None


@contextmanager
def _revoking(store: KeyStore, key_id: str) -> Iterator[Callable[[], None]]:
    """A process that stands ready, and what has it revoke the key."""
    script = (
        "import sys; from pathlib import Path; from serving.access.keys import KeyStore; print('ready', flush=True); "
        "sys.stdin.readline(); KeyStore(Path(sys.argv[1])).revoke(sys.argv[2]); print('revoked', flush=True)"
    )
    command = [sys.executable, "-c", script, str(store.path), key_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def revoke() -> None:
            asked.write("now\n")
            asked.flush()
            assert told.readline() == "revoked\n"

        yield revoke


@contextmanager
def _no_descriptor_left() -> Iterator[None]:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 8, allowed[1]))
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
        for descriptor in taken:
            os.close(descriptor)


def test_a_rotated_key_and_its_successor_overlap_as_one_caller(store: KeyStore, ring: KeyRing) -> None:
    old = store.create(
        "branch office", ["score"], expires_after=timedelta(days=30), rate_limit=500, lenders=["cars", "cards"]
    )

    new = store.rotate(old.split("_")[1], overlap=timedelta(hours=1))

    before, after = ring.find(old), ring.find(new)
    assert before is not None
    assert after is not None
    assert {key.state(after.created_at + timedelta(minutes=59)) for key in (before, after)} == {"active"}
    assert before.state(after.created_at + timedelta(minutes=61)) == "expired"
    assert after.expires_at == after.created_at + timedelta(days=30)
    assert (after.name, after.scopes, after.rate_limit) == (before.name, before.scopes, before.rate_limit)
    assert after.lenders == before.lenders == {"cards", "cars"}
    assert after.caller_id == before.caller_id == before.key_id != after.key_id


def test_a_rotation_lengthens_no_life(store: KeyStore) -> None:
    old = store.create("branch office", ["score"], expires_after=timedelta(hours=2))
    ends_at = store.all()[0].expires_at

    store.rotate(old.split("_")[1], overlap=timedelta(days=1), expires_after=timedelta(days=7))

    first, second = store.all()
    assert first.expires_at == ends_at
    assert second.expires_at == second.created_at + timedelta(days=7)


def test_only_an_active_key_is_rotated(store: KeyStore) -> None:
    key_id = store.create("branch office", ["score"]).split("_")[1]
    store.revoke(key_id)

    with pytest.raises(NotFoundError, match="it is revoked"):
        store.rotate(key_id, overlap=timedelta(0))
    with pytest.raises(NotFoundError, match="'nobody' to rotate"):
        store.rotate("nobody", overlap=timedelta(0))


def test_a_limit_holds_for_all_keys_of_a_caller(store: KeyStore) -> None:
    key_id = store.create("branch office", ["score"]).split("_")[1]
    store.rotate(key_id, overlap=timedelta(hours=1))
    store.create("another", ["score"])

    store.set_rate_limit(key_id, 6000)

    assert [key.rate_limit for key in store.all()] == [6000, 6000, None]


@pytest.mark.parametrize("limit", [0, -1, 10_000_001])
def test_a_limit_out_of_range_is_refused(store: KeyStore, limit: int) -> None:
    with pytest.raises(SettingError, match=f"1..10,000,000 requests a minute: found {limit}"):
        store.create("x", ["score"], rate_limit=limit)


@pytest.mark.parametrize("scopes", [[], ["scores"], ["score", "root"]])
def test_a_scope_that_does_not_exist_is_refused(store: KeyStore, scopes: list[str]) -> None:
    with pytest.raises(
        SettingError, match="one of score, batch, features, decisions, outcomes, approve, metrics, admin"
    ):
        store.create("x", scopes)
