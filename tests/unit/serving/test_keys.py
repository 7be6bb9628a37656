"""Keys: shown once, stored as hashes, stopped within the poll time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from serving import keys
from serving.keys import KeyRing, KeyStore
from warehouse.errors import NotFoundError, SettingError
from warehouse.settings import Settings


@pytest.fixture
def store(home: Settings) -> KeyStore:
    return KeyStore(home.keys)


@pytest.fixture
def ring(store: KeyStore) -> Iterator[KeyRing]:
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


@pytest.mark.parametrize("scopes", [[], ["scores"], ["score", "root"]])
def test_a_scope_that_does_not_exist_is_refused(store: KeyStore, scopes: list[str]) -> None:
    with pytest.raises(SettingError, match="one of score, decisions, outcomes, metrics"):
        store.create("x", scopes)
