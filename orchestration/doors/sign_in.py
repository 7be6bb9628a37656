"""Sessions of signed-in people, and the links that start them; the home stores only their hashes.

Files, not signatures: whoever can write in the home may sign in. Using a link deletes its file; ending all sessions
deletes theirs.
"""

import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import NotFoundError
from warehouse.settings import Settings

TOKEN_SECONDS = 10 * 60
SESSION_SECONDS = 24 * 60 * 60
SIGN_IN_PATH = "/-/sign-in"


class SignIn:
    """Links and sessions of one home."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = settings.doors / "links"
        self._sessions = settings.doors / "sessions"
        # per home: cookies ignore ports, and two homes of one machine must not overwrite each other's
        self.cookie = f"loanlake_{hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]}"

    def new_token(self) -> str:
        """The secret of a link that signs one person in, once, within :data:`TOKEN_SECONDS`."""
        return _new(self._tokens)

    def redeem(self, token: str) -> str | None:
        """Use up a token and return the secret of a new session; None if it is unknown, used or too old."""
        path = self._tokens / _hash(token)
        is_valid = _is_younger(path, TOKEN_SECONDS)
        try:
            path.unlink()  # of two requests with one token, one succeeds
        except FileNotFoundError:
            return None
        _delete_older(self._tokens, TOKEN_SECONDS)
        _delete_older(self._sessions, SESSION_SECONDS)
        return _new(self._sessions) if is_valid else None

    def knows(self, session: str) -> bool:
        """Whether the session began less than :data:`SESSION_SECONDS` ago and was not ended."""
        return _is_younger(self._sessions / _hash(session), SESSION_SECONDS)

    def end_all(self) -> int:
        """End every session and cancel every unused link; the number of sessions ended."""
        n_ended = _delete_older(self._sessions, 0)
        _delete_older(self._tokens, 0)
        return n_ended


def sign_in_url(settings: Settings) -> str:
    """A new link that signs a person in; raises NotFoundError if `loanlake up` does not run in this home."""
    try:
        base = _address(settings).read_text()
    except FileNotFoundError:
        raise NotFoundError(
            f"`loanlake up` does not run in {settings.home}: start it, or set LOANLAKE_HOME to the home where it runs"
        ) from None
    return f"{base}{SIGN_IN_PATH}?token={SignIn(settings).new_token()}"


@contextmanager
def door_address(settings: Settings, base: str) -> Iterator[None]:
    """Store the sign-in address for :func:`sign_in_url`, as long as the ports are open."""
    path = _address(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(base)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _address(settings: Settings) -> Path:
    return settings.doors / "address"


def _new(directory: Path) -> str:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = secrets.token_urlsafe(32)
    (directory / _hash(secret)).touch(mode=0o600)
    return secret


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _is_younger(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime < seconds
    except FileNotFoundError:
        return False


def _delete_older(directory: Path, seconds: float) -> int:
    old = [path for path in directory.glob("*") if not _is_younger(path, seconds)] if directory.exists() else []
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
