"""Limits of the API, read once from the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from ml.decisions.freshness import USUAL_MAX_AGE, HistoryPolicy, StaleWord, UnavailableWord
from warehouse.errors import SettingError

#: A century: beyond it somebody meant another unit.
_MOST_HOURS = 876_000
_MOST_SECONDS = 3600
#: Requests a minute that a caller may be given.
MOST_REQUESTS = 10_000_000
_URL = re.compile(r"https?://[^\s\"'<>]+")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True)
class TokenOptions:
    """Whose tokens (JWT) are taken beside keys.

    ``issuer`` and ``audience``: what their claims must say. ``jwks_file`` holds the provider's public keys (RS256,
    ES256), ``secret_file`` a secret shared with it (HS256); at least one. ``scopes_claim``: what grants scopes.
    """

    issuer: str
    audience: str
    jwks_file: Path | None = None
    secret_file: Path | None = None
    scopes_claim: str = "scope"


@dataclass(frozen=True)
class PageUrls:
    """Where the page's links lead: the ports of ``loanlake up`` unless the environment says otherwise."""

    dagster: str = "http://127.0.0.1:3000"
    mlflow: str = "http://127.0.0.1:5000"
    reports: str = "http://127.0.0.1:8050"


@dataclass(frozen=True)
class ServingOptions:
    """What one API process accepts.

    ``batch_rows``: applications in one inline batch. ``body_bytes``: request body. ``queued_batch_rows`` and
    ``batch_bytes``: the same of a batch that is queued (``/v1/batches``); ``queued_batches``: how many, of all callers,
    may wait, ``queued_batches_of_caller`` of one. ``waiting_decisions``: decisions scored but not yet durable, beyond
    which new ones are refused with 503 rather than kept waiting.
    ``requests_at_once``: under way in this process, beyond which new ones are refused with 503; ``connections``: open
    in it, fewer where it may not open that many files.
    ``rate_limit``: requests a minute of a caller whose key says nothing else.
    ``request_seconds``: for sending a request, and for taking its answer.
    ``cors_origins``: sites whose pages may read answers; none unless named.
    ``poll_seconds``: how often deployment and keys are looked at for a change. ``metrics_need_key``: whether
    ``/metrics`` asks for a key with the scope ``metrics``. ``docs_need_key``: whether ``/schema`` asks for any key.
    ``logs_all_requests``: a line in the log for each request, not only for errors and those of ``slow_seconds``.
    ``tokens``: None where keys alone are taken.
    ``own_decisions_only``: whether callers see, and report outcomes of, only what they had scored themselves.
    ``required_fields``: of an application, beside those that the model's contract requires.
    ``history``: how old history may be, and what happens then.
    ``page_urls``: where the page's links lead.
    """

    batch_rows: int = 500
    body_bytes: int = 4_000_000
    queued_batch_rows: int = 20_000
    batch_bytes: int = 16_000_000
    queued_batches: int = 100
    queued_batches_of_caller: int = 20
    waiting_decisions: int = 5_000
    requests_at_once: int = 500
    connections: int = 2_000
    rate_limit: int = 100
    request_seconds: float = 20.0
    cors_origins: tuple[str, ...] = ()
    poll_seconds: float = 0.2
    metrics_need_key: bool = False
    docs_need_key: bool = True
    logs_all_requests: bool = False
    slow_seconds: float = 1.0
    tokens: TokenOptions | None = None
    own_decisions_only: bool = False
    required_fields: tuple[str, ...] = ()
    history: HistoryPolicy = field(default_factory=HistoryPolicy)
    page_urls: PageUrls = field(default_factory=PageUrls)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServingOptions":
        """Read the API's ``LOANLAKE_*`` variables; raises SettingError naming the variable that cannot be used."""
        env = os.environ if environment is None else environment
        metrics = _word(env, "LOANLAKE_METRICS", ("open", "key"))
        batch_rows = _count(env, "LOANLAKE_BATCH_ROWS", cls.batch_rows, 10_000)
        waiting = _count(env, "LOANLAKE_WAITING_DECISIONS", cls.waiting_decisions, 1_000_000)
        if waiting < batch_rows:
            # the largest batch would be told to come again, however often it came
            raise SettingError(
                "LOANLAKE_WAITING_DECISIONS must be at least LOANLAKE_BATCH_ROWS, whose decisions are made durable "
                f"together: found {waiting} and {batch_rows}"
            )
        return cls(
            batch_rows=batch_rows,
            body_bytes=_count(env, "LOANLAKE_BODY_BYTES", cls.body_bytes, 100_000_000),
            queued_batch_rows=_count(env, "LOANLAKE_QUEUED_BATCH_ROWS", cls.queued_batch_rows, 1_000_000),
            batch_bytes=_count(env, "LOANLAKE_BATCH_BYTES", cls.batch_bytes, 1_000_000_000),
            queued_batches=_count(env, "LOANLAKE_QUEUED_BATCHES", cls.queued_batches, 100_000),
            queued_batches_of_caller=_count(
                env, "LOANLAKE_QUEUED_BATCHES_OF_CALLER", cls.queued_batches_of_caller, 100_000
            ),
            waiting_decisions=waiting,
            requests_at_once=_count(env, "LOANLAKE_REQUESTS_AT_ONCE", cls.requests_at_once, 100_000),
            connections=_count(env, "LOANLAKE_CONNECTIONS", cls.connections, 100_000),
            rate_limit=_count(env, "LOANLAKE_RATE_LIMIT", cls.rate_limit, MOST_REQUESTS),
            request_seconds=_seconds(env, "LOANLAKE_REQUEST_SECONDS", cls.request_seconds),
            cors_origins=_origins(env, "LOANLAKE_CORS_ORIGINS"),
            metrics_need_key=metrics == "key",
            docs_need_key=_word(env, "LOANLAKE_DOCS", ("key", "open")) == "key",
            logs_all_requests=_word(env, "LOANLAKE_ACCESS_LOG", ("errors", "all")) == "all",
            slow_seconds=_seconds(env, "LOANLAKE_SLOW_SECONDS", cls.slow_seconds),
            tokens=_token_options(env),
            required_fields=_fields(env, "LOANLAKE_REQUIRED_FIELDS"),
            own_decisions_only=_word(env, "LOANLAKE_DECISIONS", ("all", "own")) == "own",
            history=HistoryPolicy(
                max_age=_age(env, "LOANLAKE_HISTORY_MAX_AGE_HOURS"),
                stale=_word(env, "LOANLAKE_STALE_HISTORY", get_args(StaleWord)),
                unavailable=_word(env, "LOANLAKE_UNAVAILABLE_HISTORY", get_args(UnavailableWord)),
            ),
            page_urls=PageUrls(
                dagster=_url(env, "LOANLAKE_DAGSTER_URL", PageUrls.dagster),
                mlflow=_url(env, "LOANLAKE_MLFLOW_URL", PageUrls.mlflow),
                reports=_url(env, "LOANLAKE_REPORTS_URL", PageUrls.reports),
            ),
        )


def _token_options(env: Mapping[str, str]) -> TokenOptions | None:
    names = ("ISSUER", "AUDIENCE", "JWKS_FILE", "SECRET_FILE", "SCOPES_CLAIM")
    issuer, audience, jwks_file, secret_file, scopes_claim = (env.get(f"LOANLAKE_JWT_{name}") or None for name in names)
    if not any((issuer, audience, jwks_file, secret_file)):
        return None
    if not (issuer and audience and (jwks_file or secret_file)):
        given = ", ".join(name for name in sorted(env) if name.startswith("LOANLAKE_JWT_"))
        raise SettingError(
            "tokens need LOANLAKE_JWT_ISSUER, LOANLAKE_JWT_AUDIENCE and one of LOANLAKE_JWT_JWKS_FILE and "
            f"LOANLAKE_JWT_SECRET_FILE: found {given}"
        )
    return TokenOptions(
        issuer=issuer,
        audience=audience,
        jwks_file=Path(jwks_file) if jwks_file else None,
        secret_file=Path(secret_file) if secret_file else None,
        scopes_claim=scopes_claim or TokenOptions.scopes_claim,
    )


def _count(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = env.get(name)
    if not text:
        return default
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= most:
        raise SettingError(f"{name} must be a whole number within 1..{most}: found {text!r}")
    return value


def _word(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> Any:
    """One of the words allowed, the first by default."""
    word = env.get(name) or allowed[0]
    if word not in allowed:
        raise SettingError(f"{name} must be one of {', '.join(allowed)}: found {word!r}")
    return word


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise SettingError(f"{name} must be a number of seconds within 0..{_MOST_SECONDS:,}, above 0: found {text!r}")
    return seconds


def _fields(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Names, in any order; whether the served model has such fields is seen when it is loaded."""
    fields = tuple(dict.fromkeys(env.get(name, "").replace(",", " ").split()))
    wrong = [field for field in fields if not field.isidentifier()]
    if wrong:
        raise SettingError(f"{name} must list fields such as annual_income,bureau_score: found {', '.join(wrong)}")
    return fields


def _origins(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    origins = tuple(env.get(name, "").replace(",", " ").split())
    # every site at once (*) is refused too: whoever needs that can name a proxy's origin
    wrong = [origin for origin in origins if not _ORIGIN.fullmatch(origin)]
    if wrong:
        raise SettingError(f"{name} must list origins such as https://app.lender.example: found {', '.join(wrong)}")
    return origins


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    url = env.get(name) or default
    if not _URL.fullmatch(url):
        raise SettingError(f"{name} must be an address that begins with http:// or https://: found {url!r}")
    return url


def _age(env: Mapping[str, str], name: str) -> timedelta | None:
    """An age in hours; None where the word ``none`` says that no age is too old."""
    text = env.get(name)
    if not text:
        return USUAL_MAX_AGE
    if text == "none":
        return None
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 < hours <= _MOST_HOURS:
        raise SettingError(
            f"{name} must be a number of hours within 0..{_MOST_HOURS:,}, above 0, or none: found {text!r}"
        )
    return timedelta(hours=hours)
