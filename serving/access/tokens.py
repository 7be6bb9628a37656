"""Bearer tokens (JWT) of the organization's identity provider, beside API keys.

The key, not the token, sets the algorithm: an RSA key verifies only RS256, a P-256 key ES256, the shared secret HS256.
A token can neither choose ``none`` nor pass a public key off as a secret.
"""

import hashlib
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec

from serving.access.caller import Caller
from serving.access.keys import MOST_SECONDS_UNREAD, SCOPES
from serving.http.problems import Unauthenticated, Unavailable
from serving.options import TokenOptions
from warehouse.errors import SettingError

log = logging.getLogger("loanlake.serving")

#: The one algorithm of a key, by its type and curve.
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}
_SECRET_ALGORITHM = "HS256"  # noqa: S105 - an algorithm's name
_SECRET_BYTES = 32
_REQUIRED = ["exp", "iss", "aud", "sub"]
#: Tokens with a verified signature kept; RS256 takes 60 microseconds of a request, ES256 130.
_REMEMBERED = 4096
_UNSIGNED = "The token is not signed by a key known here"
_UNREADABLE = "The token cannot be read"  # no issuer writes such a header or claims
_REFUSALS: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: _UNSIGNED,
    jwt.InvalidAlgorithmError: _UNSIGNED,
    jwt.InvalidKeyError: _UNSIGNED,
    jwt.ExpiredSignatureError: "The token has expired",
    jwt.ImmatureSignatureError: "The token is not valid yet",
    jwt.InvalidIssuerError: "The token is of another issuer",
    jwt.InvalidAudienceError: "The token is for another audience",
    jwt.MissingRequiredClaimError: f"The token must have the claims {', '.join(_REQUIRED)}",
}
_Stamp = tuple[tuple[int, int, int] | None, ...]


class _Unread(SettingError):
    """A key file is missing, or cannot be opened, as without descriptors."""


class _Verified(msgspec.Struct, frozen=True):
    caller: Caller
    expires_at: float


class TokenVerifier:
    """Identifies callers by token. Reads keys again within ``poll_seconds`` of a change."""

    def __init__(self, options: TokenOptions, *, poll_seconds: float, clock: Callable[[], float] = time.time):
        """Raise SettingError if a key file cannot be used."""
        self._options = options
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._stamp = _stamp(options)
        self._public, self._secret = _read_keys(options)
        self._refused_stamp: _Stamp | None = None
        self._unread_since: float | None = None
        self._next_look = time.monotonic() + poll_seconds
        self._verified: dict[bytes, _Verified] = {}

    def caller(self, token: str) -> Caller:
        """The caller of a token; raises Unauthenticated with a reason that quotes nothing of the token.

        Raises Unavailable if a changed key file could not be opened for MOST_SECONDS_UNREAD: a key may have been
        removed.
        """
        self._refresh()
        if self._unread_since is not None and time.monotonic() - self._unread_since > MOST_SECONDS_UNREAD:
            raise Unavailable("No token can be checked: its key file cannot be opened", retry_after_seconds=5)
        # a digest: memory holds no usable token, and comparing takes no revealing time
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is None:
            known = self._verify(token)
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[digest] = known
        if known.expires_at <= self._clock():
            raise Unauthenticated(_REFUSALS[jwt.ExpiredSignatureError])
        return known.caller

    def _verify(self, token: str) -> _Verified:
        try:
            claims = self._claims(token)
            expires_at = float(claims["exp"])
            claims["sub"].encode()  # JSON allows half a character, which cannot be stored
        except jwt.PyJWTError as error:
            raise Unauthenticated(_REFUSALS.get(type(error), _UNREADABLE)) from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthenticated(_UNREADABLE) from None
        granted = _words(claims.get(self._options.scopes_claim)) & SCOPES.keys()
        return _Verified(Caller(f"token of {claims['sub']}", granted, "token", claims["sub"]), expires_at)

    def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        # the header selects the key; the key limits the algorithm
        of_secret = header.get("alg") == _SECRET_ALGORITHM
        key = self._secret if of_secret else self._public.get(header.get("kid"))
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self._options.issuer,
            audience=self._options.audience,
            # an issuer's clock may be ahead; the time of issue (iat) proves nothing
            options={"require": _REQUIRED, "verify_iat": False, "enforce_minimum_key_length": True},
        )

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + self._poll_seconds
        stamp = _stamp(self._options)
        if stamp == self._stamp:
            self._unread_since = None
            return
        try:
            self._public, self._secret = _read_keys(self._options)
        except SettingError as error:
            # keys in memory stay valid until the file can be read again
            is_unread = isinstance(error, _Unread)
            self._unread_since = (self._unread_since or now) if is_unread else None
            if stamp != self._refused_stamp:
                log.error("token keys refused", extra={"reason": str(error)})
            self._refused_stamp = stamp
        else:
            self._stamp, self._refused_stamp, self._unread_since = stamp, None, None
            self._verified.clear()


def _stamp(options: TokenOptions) -> _Stamp:
    return tuple(_file_stamp(path) for path in (options.jwks_file, options.secret_file))


def _file_stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        return None
    return (stat.st_ino, stat.st_mtime_ns, stat.st_size) if stat is not None else None


def _read_keys(options: TokenOptions) -> tuple[Mapping[str | None, jwt.PyJWK], jwt.PyJWK | None]:
    """Public keys by ``kid``, and a shared secret."""
    public = _public_keys(options.jwks_file) if options.jwks_file is not None else {}
    return public, _secret(options.secret_file) if options.secret_file is not None else None


def _public_keys(path: Path) -> dict[str | None, jwt.PyJWK]:
    """The usable keys of a JWKS file by id; a single one also verifies tokens without an id."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _Unread(f"LOANLAKE_JWT_JWKS_FILE must be a JSON Web Key Set: {path}: {type(error).__name__}") from None
    try:
        listed = msgspec.json.decode(content, type=dict[str, Any])["keys"]
        keys = {jwk.get("kid"): jwt.PyJWK(jwk, algorithm) for jwk in listed if (algorithm := _algorithm(jwk))}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        # without the error's text, which may quote the key
        raise SettingError(
            f"LOANLAKE_JWT_JWKS_FILE must be a JSON Web Key Set: {path}: {type(error).__name__}"
        ) from None
    if any("d" in jwk or jwk.get("kty") == "oct" for jwk in listed):
        raise SettingError(f"LOANLAKE_JWT_JWKS_FILE must hold public keys only: {path} holds a private or shared one")
    if not keys:
        raise SettingError(f"LOANLAKE_JWT_JWKS_FILE must hold an RSA or a P-256 key for signatures: {path} has none")
    weak = [str(kid) for kid, key in keys.items() if key.Algorithm.check_key_length(key.key)]
    if weak:
        raise SettingError(f"LOANLAKE_JWT_JWKS_FILE must hold RSA keys of 2048 bits or more: {path}, {', '.join(weak)}")
    return keys | ({None: next(iter(keys.values()))} if len(keys) == 1 else {})


def _algorithm(jwk: Mapping[str, Any]) -> str | None:
    """The algorithm of a key; None for other kinds and uses, which a provider may list too."""
    algorithm = _ALGORITHMS.get((str(jwk.get("kty")), jwk.get("crv")))
    fits = jwk.get("alg", algorithm) == algorithm and jwk.get("use", "sig") == "sig"
    return algorithm if fits else None


def _secret(path: Path) -> jwt.PyJWK:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise _Unread(f"LOANLAKE_JWT_SECRET_FILE cannot be read: {error}") from None
    if len(secret) < _SECRET_BYTES:
        raise SettingError(
            f"LOANLAKE_JWT_SECRET_FILE must hold {_SECRET_BYTES} bytes or more: {path} holds {len(secret)}"
        )
    return jwt.PyJWK({"kty": "oct", "k": urlsafe_b64encode(secret).rstrip(b"=").decode()}, _SECRET_ALGORITHM)


def _words(claim: object) -> frozenset[str]:
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return frozenset(word for word in words if isinstance(word, str))
