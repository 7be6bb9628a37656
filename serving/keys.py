"""API keys: created by a command, shown once, kept only as a hash.

A key is ``ll_<key id>_<secret>``. The secret is 256 random bits, so one SHA-256 of it is as safe to store as a slow
password hash would be (there is nothing to guess), and costs a request microseconds.
"""

import hashlib
import hmac
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from warehouse.errors import NotFoundError, SettingError

log = logging.getLogger("loanlake.serving")

#: What a key may be allowed to do.
SCOPES = {
    "score": "ask for scores",
    "decisions": "read decisions already made, with what the applicant sent",
    "outcomes": "report how applications ended",
    "metrics": "read /metrics where LOANLAKE_METRICS=key",
}
_PREFIX = "ll"
_SCHEMA = """
create table if not exists api_keys (
    key_id text primary key,
    name text not null,
    secret_sha256 text not null,
    scopes text not null,
    created_at text not null,
    expires_at text,
    revoked_at text
) strict
"""


@dataclass(frozen=True)
class ApiKey:
    """A key as stored; times are UTC. ``secret_sha256`` is hexadecimal."""

    key_id: str
    name: str
    secret_sha256: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        """``active``, ``expired`` or ``revoked`` at ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class KeyStore:
    """The keys of one home, in a SQLite file; every call opens it anew, as commands do."""

    def __init__(self, path: Path):
        self.path = path

    def create(self, name: str, scopes: Iterable[str], *, expires_after: timedelta | None = None) -> str:
        """Store a new key and return the only copy of its text; raises SettingError where a scope does not exist."""
        wanted = sorted(set(scopes))
        unknown = [scope for scope in wanted if scope not in SCOPES]
        if unknown or not wanted:
            raise SettingError(f"a scope must be one of {', '.join(SCOPES)}: found {', '.join(unknown) or 'none'}")
        key_id, secret, now = secrets.token_hex(6), secrets.token_hex(32), datetime.now(UTC)
        expires_at = (now + expires_after).isoformat() if expires_after else None
        with closing(self._open()) as con, con:
            con.execute(
                "insert into api_keys values (?, ?, ?, ?, ?, ?, null)",
                [key_id, name, _hash(secret), " ".join(wanted), now.isoformat(), expires_at],
            )
        return f"{_PREFIX}_{key_id}_{secret}"

    def all(self) -> list[ApiKey]:
        """Every key, oldest first, revoked and expired ones included."""
        if not self.path.exists():
            return []
        with closing(self._open()) as con:
            return [_key(row) for row in con.execute("select * from api_keys order by created_at, key_id")]

    def revoke(self, key_id: str) -> ApiKey:
        """End a key for good; raises NotFoundError where there is none of that id, or it was revoked before."""
        with closing(self._open()) as con, con:
            row = con.execute(
                "update api_keys set revoked_at = ? where key_id = ? and revoked_at is null returning *",
                [datetime.now(UTC).isoformat(), key_id],
            ).fetchone()
        if row is None:
            raise NotFoundError(f"no key {key_id!r} that could be revoked: `loanlake key list` shows their ids")
        return _key(row)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        con = sqlite3.connect(self.path, timeout=10)
        self.path.chmod(0o600)
        con.execute(_SCHEMA)
        return con


class KeyRing:
    """Keys in memory for requests, read again when the file changes: a revoked key stops within ``poll_seconds``."""

    def __init__(self, store: KeyStore, *, poll_seconds: float):
        self._store = store
        self._poll_seconds = poll_seconds
        self._keys: dict[str, ApiKey] = {}
        self._seen: tuple[int, bytes] | None = None
        self._next_look = 0.0

    def find(self, text: str) -> ApiKey | None:
        """The key that ``text`` proves knowledge of, whatever its state; None where there is none."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        # a key made a moment ago works at once: an id that is not known is looked for without waiting
        self._refresh(at_once=key_id not in self._keys)
        key = self._keys.get(key_id) if prefix == _PREFIX else None
        # an unknown id costs the same comparison as a wrong secret
        expected = key.secret_sha256 if key is not None else _hash("")
        return key if hmac.compare_digest(_hash(secret), expected) and key is not None else None

    def _refresh(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if now < self._next_look and not at_once:
            return
        self._next_look = now + self._poll_seconds
        try:
            seen = self._stamp()
            if seen != self._seen:
                self._keys = {key.key_id: key for key in self._store.all()}
                self._seen = seen
        except (OSError, sqlite3.Error) as error:
            # those in memory stay in force, each with its own expiry, until the file can be read again
            log.warning("keys could not be read", extra={"error": str(error)})

    def _stamp(self) -> tuple[int, bytes] | None:
        # SQLite's file change counter grows with every commit (the file keeps a rollback journal, not WAL)
        try:
            with self._store.path.open("rb") as file:
                return os.fstat(file.fileno()).st_ino, file.read(28)[24:]
        except FileNotFoundError:
            return None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: tuple[str, str, str, str, str, str | None, str | None]) -> ApiKey:
    key_id, name, secret_sha256, scopes, created_at, expires_at, revoked_at = row
    return ApiKey(
        key_id=key_id,
        name=name,
        secret_sha256=secret_sha256,
        scopes=frozenset(scopes.split()),
        created_at=datetime.fromisoformat(created_at),
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
    )
