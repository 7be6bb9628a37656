"""API keys: created by a command, shown once, stored only as a hash.

A key is ``ll_<key id>_<secret>``. The secret is 256 random bits, so one SHA-256 is as safe as a slow password hash and
takes microseconds. A rotated key has a successor for the same caller, who owns limits and Idempotency-Keys; neither
doubles while both keys work.
"""

import hashlib
import hmac
import logging
import math
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import msgspec

from serving.access.caller import Caller
from serving.options import MOST_REQUESTS
from warehouse.errors import LoanlakeError, NotFoundError, SettingError
from warehouse.settings import Settings
from warehouse.team import shared_turn

log = logging.getLogger("loanlake.serving")

#: Scopes of a key.
SCOPES = {
    "score": "score applications",
    "batch": "have files and lake tables scored",
    "features": "read what is known of borrowers: their features and history",
    "decisions": "read decisions already made, with what the applicant sent",
    "outcomes": "report how applications ended",
    "approve": "approve a model for promotion",
    "metrics": "read /metrics where LOANLAKE_METRICS=key",
    "admin": "all of these",
}
#: How long keys in memory stay valid while their file cannot be read. A command or restore takes less than a second; a
#: revoked key must not survive a flood.
MOST_SECONDS_UNREAD = 10.0
#: How long a request waits for a command that writes keys.
_SECONDS_BUSY = 0.05
PREFIX = "ll_"
_SCHEMA = """
create table if not exists api_keys (
    key_id text primary key,
    name text not null,
    secret_sha256 text not null,
    scopes text not null,
    created_at text not null,
    expires_at text,
    revoked_at text,
    caller_id text not null,
    rate_limit integer,
    lenders text
) strict
"""


@dataclass(frozen=True)
class ApiKey:
    """A key as stored; times are UTC. ``secret_sha256`` is hexadecimal.

    ``caller_id``: id of the first key in its rotations. ``rate_limit``: requests a minute, None for the server's
    default. ``lenders``: those that it may reach, None for all.
    """

    key_id: str
    name: str
    secret_sha256: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    caller_id: str
    rate_limit: int | None
    lenders: frozenset[str] | None = None

    @cached_property
    def holder(self) -> Caller:
        """Who calls with it."""
        return Caller(self.caller_id, self.scopes, f"key {self.key_id}", self.name, self.rate_limit, self.lenders)

    def state(self, now: datetime) -> str:
        """``active``, ``expired`` or ``revoked`` at ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


_NAMES = tuple(field.name for field in fields(ApiKey))
_COLUMNS = ", ".join(_NAMES)


class KeyStore:
    """The keys of one home, in a SQLite file, opened by each call.

    ``turn``: held around each call, where the machines of a team share the file.
    """

    def __init__(self, path: Path, *, turn: Callable[[], AbstractContextManager[None]] = nullcontext):
        self.path = path
        self._turn = turn

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys of a home or, in a team, of all its machines."""
        if settings.catalog is None:
            return cls(settings.keys)
        lock = settings.keys.with_suffix(".lock")
        return cls(settings.keys, turn=lambda: shared_turn(settings, lock, settings.keys))

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        expires_after: timedelta | None = None,
        rate_limit: int | None = None,
        lenders: Iterable[str] = (),
    ) -> str:
        """Store a new key and return its only text; raises SettingError for an unknown scope or invalid limit.

        ``lenders``: the only ones that it may reach; all if empty.
        """
        wanted = sorted(set(scopes))
        unknown = [scope for scope in wanted if scope not in SCOPES]
        if unknown or not wanted:
            raise SettingError(f"a scope must be one of {', '.join(SCOPES)}: found {', '.join(unknown) or 'none'}")
        _require_rate_limit(rate_limit)
        key_id, secret, now = secrets.token_hex(6), secrets.token_hex(32), datetime.now(UTC)
        key = ApiKey(
            key_id=key_id,
            name=name,
            secret_sha256=_hash(secret),
            scopes=frozenset(wanted),
            created_at=now,
            expires_at=now + expires_after if expires_after else None,
            revoked_at=None,
            caller_id=key_id,
            rate_limit=rate_limit,
            lenders=frozenset(lenders) or None,
        )
        with self._transaction() as con:
            _insert(con, key)
        return f"{PREFIX}{key_id}_{secret}"

    def rotate(self, key_id: str, *, overlap: timedelta, expires_after: timedelta | None = None) -> str:
        """Store the successor of an active key and return its text; the old key ends after ``overlap``.

        The successor keeps name, scopes, lenders, limit, caller and, without ``expires_after``, the length of validity.
        Raises NotFoundError if no active key has that id.
        """
        new_id, secret, now = secrets.token_hex(6), secrets.token_hex(32), datetime.now(UTC)
        with self._transaction() as con:
            old = _one(con, key_id)
            if old is None or old.state(now) != "active":
                state = f": it is {old.state(now)}" if old else ""
                raise NotFoundError(f"no active key {key_id!r} to rotate{state}; `loanlake key list` shows their ids")
            lifetime = expires_after or (old.expires_at - old.created_at if old.expires_at else None)
            ends_at = min(now + overlap, old.expires_at or now + overlap)
            con.execute("update api_keys set expires_at = ? where key_id = ?", [ends_at.isoformat(), key_id])
            successor = replace(
                old,
                key_id=new_id,
                secret_sha256=_hash(secret),
                created_at=now,
                expires_at=now + lifetime if lifetime else None,
            )
            _insert(con, successor)
        return f"{PREFIX}{new_id}_{secret}"

    def set_rate_limit(self, key_id: str, rate_limit: int | None) -> ApiKey:
        """Set the caller's requests a minute, or None; raises SettingError out of range, NotFoundError without key."""
        _require_rate_limit(rate_limit)
        with self._transaction() as con:
            key = _one(con, key_id)
            if key is None:
                raise _unknown(key_id, "whose limit could be set")
            # for all rotations: overlapping keys of one caller share one count
            con.execute("update api_keys set rate_limit = ? where caller_id = ?", [rate_limit, key.caller_id])
        return replace(key, rate_limit=rate_limit)

    def all(self) -> list[ApiKey]:
        """Every key, oldest first, revoked and expired ones included."""
        with self._turn():  # brings the file in a team
            if not self.path.exists():
                return []
        with self._transaction() as con:
            return [_key(row) for row in con.execute(f"select {_COLUMNS} from api_keys order by created_at, key_id")]

    def revoke(self, key_id: str) -> ApiKey:
        """End a key permanently; raises NotFoundError for an unknown or revoked key."""
        with self._transaction() as con:
            row = con.execute(
                f"update api_keys set revoked_at = ? where key_id = ? and revoked_at is null returning {_COLUMNS}",
                [datetime.now(UTC).isoformat(), key_id],
            ).fetchone()
        if row is None:
            raise _unknown(key_id, "that could be revoked")
        return _key(row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._turn(), closing(sqlite3.connect(self.path, timeout=10)) as con, con:
            self.path.chmod(0o600)
            con.execute("begin immediate")  # two simultaneous commands must not both rotate one key
            con.execute(_SCHEMA)
            yield con


class KeysUnreadable(LoanlakeError):
    """The keys have not been readable for longer than revoked ones may stay in force."""


class KeyRing:
    """Keys in memory, read again when the file changes: a revoked key stops within ``poll_seconds``.

    While the file cannot be read, keys stay valid, each with its own expiry, for ``MOST_SECONDS_UNREAD`` after the last
    reading; then none is accepted.
    """

    def __init__(self, store: KeyStore, *, poll_seconds: float):
        self._file = _KeyFile(store.path)
        self._poll_seconds = poll_seconds
        self._keys: dict[str, ApiKey] = {}
        self._next_look = 0.0
        self._read_at = -math.inf
        self._is_readable = True
        self._refresh(at_once=True)  # keeps the file open, even if descriptors run out later

    def find(self, text: str) -> ApiKey | None:
        """The key that ``text`` proves, in any state, or None; raises KeysUnreadable."""
        key_id, _, secret = text.removeprefix(PREFIX).partition("_")
        # a new key works immediately: unknown ids are looked up now
        self._refresh(at_once=key_id not in self._keys)
        if not self._is_readable and time.monotonic() - self._read_at > MOST_SECONDS_UNREAD:
            raise KeysUnreadable(f"keys could not be read for more than {MOST_SECONDS_UNREAD:g} s")
        key = self._keys.get(key_id) if text.startswith(PREFIX) else None
        # an unknown id costs the same comparison as a wrong secret
        expected = key.secret_sha256 if key is not None else _hash("")
        return key if hmac.compare_digest(_hash(secret), expected) and key is not None else None

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _refresh(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if now < self._next_look and not at_once:
            return
        self._next_look = now + self._poll_seconds
        try:
            changed = self._file.changed_keys()
        except (OSError, sqlite3.Error) as error:
            if self._is_readable:  # one line per outage
                log.error("keys cannot be read", extra={"error": str(error)})
            self._is_readable = False
            return
        if changed is not None:
            self._keys = {key.key_id: key for key in changed}
        self._read_at, self._is_readable = now, True


class _KeyFile:
    """The open file of the keys: looking for changes needs no descriptor, and a flood leaves none.

    Only SQLite opens it: closing another handle would release SQLite's locks.
    """

    def __init__(self, path: Path):
        self._path = path.absolute()
        self._con: sqlite3.Connection | None = None
        self._seen: tuple[int, int] | None = None
        self._inode: int | None = None

    def changed_keys(self) -> list[ApiKey] | None:
        """All keys, if they may have changed since the last call, else None; raises OSError or sqlite3.Error."""
        inode = self._inode_now()
        if inode is None:
            self.close()
            return []
        if self._con is None or inode != self._inode:
            self.close()
            # never create a missing file; a busy one is read later, so that no request waits
            uri = f"{self._path.as_uri()}?mode=rw"
            self._con = sqlite3.connect(
                uri, uri=True, timeout=_SECONDS_BUSY, isolation_level=None, check_same_thread=False
            )
            self._inode = inode
        # grows with every commit of another connection
        ((version,),) = self._con.execute("pragma data_version").fetchall()
        if (inode, version) == self._seen:
            return None
        keys = [_key(row) for row in self._con.execute(f"select {_COLUMNS} from api_keys")]
        self._seen = (inode, version)
        return keys

    def close(self) -> None:
        if self._con is not None:
            self._con.close()
        self._con = self._seen = self._inode = None

    def _inode_now(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _require_rate_limit(rate_limit: int | None) -> None:
    if rate_limit is not None and not 1 <= rate_limit <= MOST_REQUESTS:
        raise SettingError(f"a rate limit must be within 1..{MOST_REQUESTS:,} requests a minute: found {rate_limit}")


def _unknown(key_id: str, purpose: str) -> NotFoundError:
    return NotFoundError(f"no key {key_id!r} {purpose}: `loanlake key list` shows their ids")


def _insert(con: sqlite3.Connection, key: ApiKey) -> None:
    lenders = " ".join(sorted(key.lenders)) if key.lenders is not None else None
    row = {**asdict(key), "scopes": " ".join(sorted(key.scopes)), "lenders": lenders}
    values = [value.isoformat() if isinstance(value, datetime) else value for value in row.values()]
    con.execute(f"insert into api_keys ({_COLUMNS}) values ({', '.join('?' * len(values))})", values)


def _one(con: sqlite3.Connection, key_id: str) -> ApiKey | None:
    row = con.execute(f"select {_COLUMNS} from api_keys where key_id = ?", [key_id]).fetchone()
    return _key(row) if row else None


def _key(row: tuple[Any, ...]) -> ApiKey:
    stored = dict(zip(_NAMES, row, strict=True))
    lenders = stored["lenders"].split() if stored["lenders"] is not None else None
    return msgspec.convert({**stored, "scopes": stored["scopes"].split(), "lenders": lenders}, ApiKey)
