"""Tokens: who signed, for whom, until when, and every way to pass one off that must fail."""

import base64
import errno
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from serving.access import tokens
from serving.access.keys import MOST_SECONDS_UNREAD
from serving.access.tokens import TokenVerifier
from serving.http.problems import Unauthenticated, Unavailable
from serving.options import TokenOptions
from warehouse.errors import SettingError

RSA_KEY = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SECRET = b"a secret of the organization, of the sixty-four bytes HS512 wants"
RSA_JWK: dict[str, Any] = RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True) | {"kid": "rsa-1", "alg": "RS256"}
EC_JWK: dict[str, Any] = ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True) | {"kid": "ec-1", "use": "sig"}
STRANGER_JWK = RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
RSA_PEM = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
CLAIMS: dict[str, Any] = {
    "iss": "https://id.lender.example",
    "aud": "loanlake",
    "sub": "branch-7",
    "scope": "score batch",
}


@pytest.fixture
def options(tmp_path: Path) -> TokenOptions:
    """RSA and P-256 keys in a file, a secret in another."""
    jwks, secret = tmp_path / "jwks.json", tmp_path / "secret"
    jwks.write_text(json.dumps({"keys": [RSA_JWK, EC_JWK]}))
    secret.write_bytes(SECRET + b"\n")
    return TokenOptions(issuer=CLAIMS["iss"], audience="loanlake", jwks_file=jwks, secret_file=secret)


@pytest.fixture
def verifier(options: TokenOptions) -> TokenVerifier:
    return TokenVerifier(options, poll_seconds=0.0)


def signed(algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A good token, but for what is changed; a claim of None is left out."""
    claims = {"exp": int(time.time()) + 86_400} | CLAIMS | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    kind = algorithm[:2]
    key: Any = {"RS": RSA_KEY, "ES": EC_KEY, "HS": SECRET, "PS": RSA_KEY}[kind]
    named = {"RS": {"kid": "rsa-1"}, "ES": {"kid": "ec-1"}, "HS": {}, "PS": {"kid": "rsa-1"}}[kind]
    return jwt.encode(claims, key, algorithm=algorithm, headers=named if header is None else header)


@pytest.mark.parametrize(
    ("claim", "lenders"),
    [(None, None), ("cards cars", {"cards", "cars"}), (["cards"], {"cards"}), ("", set()), ({"cards": True}, set())],
)
def test_a_claim_binds_a_token_to_lenders(verifier: TokenVerifier, claim: object, lenders: set[str] | None) -> None:
    """A claim that cannot be read must not open every lender."""
    assert verifier.caller(signed(lenders=claim)).lenders == lenders


def handmade(
    header: dict[str, Any], claims: dict[str, Any], signature: Callable[[bytes], bytes] = lambda _: b""
) -> str:
    """A token that no library would make."""
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    message = head + b"." + body
    return (message + b"." + base64.urlsafe_b64encode(signature(message)).rstrip(b"=")).decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "HS256"])
def test_a_good_token_says_who_calls_and_what_they_may_do(verifier: TokenVerifier, algorithm: str) -> None:
    found = verifier.caller(signed(algorithm))

    assert found.scopes == {"score", "batch"}
    assert found.caller_id == verifier.caller(signed(algorithm, jti="another")).caller_id
    assert found.caller_id != verifier.caller(signed(algorithm, sub="branch-8")).caller_id


@pytest.mark.parametrize(
    ("claim", "granted"),
    [("score outcomes", {"score", "outcomes"}), (["score", 7], {"score"}), ("openid root", set()), (None, set())],
)
def test_scopes_come_from_a_claim(options: TokenOptions, claim: object, granted: set[str]) -> None:
    verifier = TokenVerifier(replace(options, scopes_claim="permissions"), poll_seconds=0.0)

    assert verifier.caller(signed(permissions=claim)).scopes == granted


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": int(time.time()) - 1}, "has expired"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet"),
        ({"iss": "https://id.other.example"}, "another issuer"),
        ({"aud": "payments"}, "another audience"),
        ({"aud": ["payments", "ledger"]}, "another audience"),
        *(({claim: None}, "must have the claims exp, iss, aud, sub") for claim in ("exp", "iss", "aud", "sub")),
        ({"exp": "soon"}, "cannot be read"),
        ({"exp": float("inf")}, "cannot be read"),
        ({"exp": [1]}, "cannot be read"),
    ],
)
@pytest.mark.parametrize("algorithm", ["RS256", "HS256"])
def test_a_token_of_another_time_place_or_issuer_is_refused(
    verifier: TokenVerifier, changes: dict[str, Any], reason: str, algorithm: str
) -> None:
    token = signed(algorithm, **{name: value for name, value in changes.items() if name != "exp" or value is None})
    if changes.get("exp") is not None:
        token = forged_time(algorithm, changes["exp"])

    with pytest.raises(Unauthenticated, match=reason):
        verifier.caller(token)


def forged_time(algorithm: str, exp: object) -> str:
    """Well signed, with an expiry that PyJWT itself might not write."""
    return jwt.api_jws.encode(
        json.dumps(CLAIMS | {"exp": exp}).encode(),
        RSA_KEY if algorithm == "RS256" else SECRET,
        algorithm=algorithm,
        headers={"kid": "rsa-1"},
    )


UNSIGNED = CLAIMS | {"exp": int(time.time()) + 86_400}


def hs256(key: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.new(key, message, hashlib.sha256).digest()


PASSED_OFF = {
    "unsigned": handmade({"alg": "none"}, UNSIGNED),
    "unsigned, by the name of a key": handmade({"alg": "None", "kid": "rsa-1"}, UNSIGNED),
    "unsigned, in letters that change": handmade({"alg": "nOnE", "kid": "rsa-1"}, UNSIGNED),
    "without an algorithm": handmade({"kid": "rsa-1"}, UNSIGNED),
    "without a signature": handmade({"alg": "RS256", "kid": "rsa-1"}, UNSIGNED),
    "a signature cut short": signed()[:-8],
    "a signature cut off": signed().rpartition(".")[0] + ".",
    "an empty secret": handmade({"alg": "HS256"}, UNSIGNED, hs256(b"")),
    "the public key as the secret": handmade({"alg": "HS256", "kid": "rsa-1"}, UNSIGNED, hs256(RSA_PEM)),
    "the JWK as the secret": handmade({"alg": "HS256"}, UNSIGNED, hs256(json.dumps(RSA_JWK).encode())),
    "the modulus as the secret": handmade({"alg": "HS256"}, UNSIGNED, hs256(RSA_JWK["n"].encode())),
    "the secret as the public key": handmade({"alg": "RS256", "kid": "rsa-1"}, UNSIGNED, hs256(SECRET)),
    "a list of algorithms": handmade({"alg": ["RS256"], "kid": "rsa-1"}, UNSIGNED),
    "a list of keys": handmade({"alg": "RS256", "kid": ["rsa-1"]}, UNSIGNED),
    "a path for a key": handmade({"alg": "RS256", "kid": "../../dev/null"}, UNSIGNED),
    "SQL for a key": handmade({"alg": "RS256", "kid": "' or 1=1 --"}, UNSIGNED),
    "an RSA token for the P-256 key": signed("RS256", {"kid": "ec-1"}),
    "a P-256 token for the RSA key": signed("ES256", {"kid": "rsa-1"}),
    "a key that is not known": signed("RS256", {"kid": "rsa-2"}),
    "a longer hash than the key is for": signed("RS384"),
    "another padding than the key is for": signed("PS256"),
    "a longer hash than the secret is for": signed("HS512"),
    "an extension that nobody knows": signed("RS256", {"kid": "rsa-1", "crit": ["x"], "x": 1}),
    "another key of that name": jwt.encode(UNSIGNED, STRANGER, "RS256", {"kid": "rsa-1"}),
    "a key that it brings itself": jwt.encode(UNSIGNED, STRANGER, "RS256", {"kid": "rsa-2", "jwk": STRANGER_JWK}),
    "three words": "a.b.c",
    "nothing": "..",
    "no ASCII": "\u00e9.\u00e9.\u00e9",
}


@pytest.mark.parametrize("name", PASSED_OFF)
def test_a_token_passed_off_is_refused(verifier: TokenVerifier, name: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verifier.caller(PASSED_OFF[name])

    assert refused.value.detail in {"The token is not signed by a key known here", "The token cannot be read"}


def test_a_deeply_nested_token_is_refused(verifier: TokenVerifier) -> None:
    head = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 40_000).decode()

    with pytest.raises(Unauthenticated, match="The token"):
        verifier.caller(f"{head}.e30.x")


def test_a_subject_of_half_a_character_is_refused(verifier: TokenVerifier) -> None:
    """It was let in, and every request failed with 500 where calls are counted."""
    with pytest.raises(Unauthenticated, match="cannot be read"):
        verifier.caller(signed(sub="\ud800"))


def test_without_a_secret_none_is_guessed(options: TokenOptions) -> None:
    verifier = TokenVerifier(replace(options, secret_file=None), poll_seconds=0.0)

    with pytest.raises(Unauthenticated, match="not signed by a key known here"):
        verifier.caller(handmade({"alg": "HS256", "kid": "rsa-1"}, UNSIGNED, hs256(RSA_PEM)))


def test_a_token_that_was_good_expires(options: TokenOptions) -> None:
    """What is remembered of a token must not outlive it."""
    now = time.time()
    clock = iter([now, now + 599, now + 601])
    verifier = TokenVerifier(options, poll_seconds=60.0, clock=lambda: next(clock))
    token = signed(exp=int(now) + 600)

    assert verifier.caller(token) == verifier.caller(token)
    with pytest.raises(Unauthenticated, match="has expired"):
        verifier.caller(token)


def test_a_key_taken_out_of_the_file_verifies_no_more(options: TokenOptions, verifier: TokenVerifier) -> None:
    token = signed("RS256")
    verifier.caller(token)
    assert options.jwks_file is not None

    options.jwks_file.write_text(json.dumps({"keys": [EC_JWK]}))

    with pytest.raises(Unauthenticated, match="not signed by a key known here"):
        verifier.caller(token)
    assert verifier.caller(signed("ES256")).scopes == {"score", "batch"}


def test_a_file_spoilt_while_the_server_runs_changes_nothing(
    options: TokenOptions, verifier: TokenVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    assert options.jwks_file is not None

    options.jwks_file.write_text("{")

    assert verifier.caller(signed("RS256")).scopes == {"score", "batch"}
    assert "token keys refused" in caplog.text


def test_a_key_file_that_cannot_be_opened_is_tried_again_and_then_stops_all(
    options: TokenOptions, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a flood has taken every descriptor when a key is taken out of the file."""
    token = signed("RS256")
    verifier.caller(token)
    assert options.jwks_file is not None
    options.jwks_file.write_text(json.dumps({"keys": [EC_JWK]}))

    with monkeypatch.context() as flood:
        flood.setattr(Path, "read_bytes", _no_descriptor)
        assert verifier.caller(token).scopes == {"score", "batch"}
        late = tokens.time.monotonic() + MOST_SECONDS_UNREAD + 1
        monkeypatch.setattr(tokens.time, "monotonic", lambda: late)
        with pytest.raises(Unavailable, match="cannot be opened"):
            verifier.caller(token)
    with pytest.raises(Unauthenticated, match="not signed by a key known here"):
        verifier.caller(token)


def _no_descriptor(path: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files", str(path))


def test_a_single_key_serves_tokens_that_name_none(options: TokenOptions) -> None:
    assert options.jwks_file is not None
    options.jwks_file.write_text(json.dumps({"keys": [RSA_JWK, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}))
    verifier = TokenVerifier(options, poll_seconds=0.0)

    assert verifier.caller(signed("RS256", {})).scopes == {"score", "batch"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a JSON Web Key Set"),
        ("[]", "must be a JSON Web Key Set"),
        ('{"keys": 7}', "must be a JSON Web Key Set"),
        ('{"keys": [7]}', "must be a JSON Web Key Set"),
        ('{"keys": []}', "must hold an RSA or a P-256 key"),
        (json.dumps({"keys": [RSA_JWK | {"alg": "PS256"}]}), "must hold an RSA or a P-256 key"),
        (json.dumps({"keys": [RSA_JWK | {"use": "enc"}]}), "must hold an RSA or a P-256 key"),
        (json.dumps({"keys": [RSA_JWK, {"kty": "oct", "k": "c2VjcmV0"}]}), "public keys only"),
        (json.dumps({"keys": [RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True)]}), "public keys only"),
        (json.dumps({"keys": [RSA_JWK | {"n": "AQAB"}]}), "2048 bits or more|must be a JSON Web Key Set"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(options: TokenOptions, content: str, message: str) -> None:
    assert options.jwks_file is not None
    options.jwks_file.write_text(content)

    with pytest.raises(SettingError, match=message):
        TokenVerifier(options, poll_seconds=0.0)


def test_a_short_or_missing_secret_stops_the_start(options: TokenOptions) -> None:
    assert options.secret_file is not None
    options.secret_file.write_bytes(b"x" * 31)
    with pytest.raises(SettingError, match=r"32 bytes or more: .* holds 31"):
        TokenVerifier(options, poll_seconds=0.0)

    options.secret_file.unlink()
    with pytest.raises(SettingError, match="cannot be read"):
        TokenVerifier(options, poll_seconds=0.0)
