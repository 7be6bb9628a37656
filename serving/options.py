"""Limits of the API, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from ml.decisions.freshness import HistoryPolicy
from warehouse.errors import SettingError
from warehouse.settings import PageUrls, Variable, listed, read

#: Greatest rate limit, requests a minute.
MOST_REQUESTS = 10_000_000
_Seconds = Annotated[float, Meta(gt=0, le=3600)]


@dataclass(frozen=True)
class TokenOptions:
    """Tokens (JWT) accepted beside keys."""

    issuer: Annotated[str, Variable("What a token's `iss` must be.", "LOANLAKE_JWT_ISSUER")]
    audience: Annotated[str, Variable("What a token's `aud` must be.", "LOANLAKE_JWT_AUDIENCE")]
    jwks_file: Annotated[
        Path | None,
        Variable(
            "File with the provider's public keys as a JSON Web Key Set (RS256, ES256).",
            "LOANLAKE_JWT_JWKS_FILE",
            parse=Path,
        ),
    ] = None
    secret_file: Annotated[
        Path | None,
        Variable(
            "File with a secret of 32 bytes or more, shared with the provider (HS256).",
            "LOANLAKE_JWT_SECRET_FILE",
            parse=Path,
        ),
    ] = None
    scopes_claim: Annotated[
        str, Variable("Claim that grants scopes, a text or a list.", "LOANLAKE_JWT_SCOPES_CLAIM")
    ] = "scope"
    lenders_claim: Annotated[
        str,
        Variable(
            "Claim that binds a token to lenders, a text or a list; a token without it reaches all.",
            "LOANLAKE_JWT_LENDERS_CLAIM",
        ),
    ] = "lenders"


@dataclass(frozen=True)
class ServingOptions:
    """What one worker of the API accepts.

    ``poll_seconds``: how often deployment and keys are looked at for a change.
    """

    batch_rows: Annotated[int, Meta(ge=1, le=10_000), Variable("Most applications in one inline batch.")] = 500
    feature_borrowers: Annotated[
        int, Meta(ge=1, le=10_000), Variable("Most borrowers in one request to `/v1/features`.")
    ] = 500
    body_bytes: Annotated[int, Meta(ge=1, le=100_000_000), Variable("Largest request body.", unit="bytes")] = 4_000_000
    queued_batch_rows: Annotated[
        int, Meta(ge=1, le=1_000_000), Variable("Most rows of a file or table sent to `/v1/batches`.")
    ] = 20_000
    batch_bytes: Annotated[
        int, Meta(ge=1, le=1_000_000_000), Variable("Largest body sent to `/v1/batches`.", unit="bytes")
    ] = 16_000_000
    queued_batches: Annotated[
        int, Meta(ge=1, le=100_000), Variable("Most batches of all callers that wait for a run.")
    ] = 100
    queued_batches_of_caller: Annotated[
        int, Meta(ge=1, le=100_000), Variable("Most batches of one caller that wait for a run.")
    ] = 20
    waiting_decisions: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        Variable("Most decisions that are scored and not yet on disk; beyond it the API answers 503."),
    ] = 5_000
    requests_at_once: Annotated[
        int, Meta(ge=1, le=100_000), Variable("Most concurrent requests of a worker; beyond it the API answers 503.")
    ] = 500
    connections: Annotated[
        int, Meta(ge=1, le=100_000), Variable("Most open connections of a worker, fewer where `ulimit -n` is low.")
    ] = 2_000
    rate_limit: Annotated[
        int, Meta(ge=1, le=MOST_REQUESTS), Variable("Requests a minute of a caller whose key has no limit of its own.")
    ] = 100
    request_seconds: Annotated[
        _Seconds, Variable("Time for sending a request, and for reading its answer.", unit="seconds")
    ] = 20.0
    slow_seconds: Annotated[_Seconds, Variable("Requests that take longer are logged.", unit="seconds")] = 1.0
    logs_all_requests: Annotated[
        bool,
        Variable(
            "Which requests are logged: errors and slow ones, or all.",
            "LOANLAKE_ACCESS_LOG",
            words={"errors": False, "all": True},
        ),
    ] = False
    cors_origins: Annotated[
        tuple[str, ...],
        Variable(
            "Sites whose pages may read answers.",
            must="a list of origins such as https://app.lender.example",
            # no wildcard (*): name a proxy's origin instead
            parse=listed(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?"),
        ),
    ] = ()
    metrics_need_key: Annotated[
        bool,
        Variable(
            "Whether `/metrics` needs a key with the scope `metrics`.",
            "LOANLAKE_METRICS",
            words={"open": False, "key": True},
        ),
    ] = False
    docs_need_key: Annotated[
        bool, Variable("Whether `/schema` needs a key.", "LOANLAKE_DOCS", words={"key": True, "open": False})
    ] = True
    own_decisions_only: Annotated[
        bool,
        Variable(
            "Whose decisions a caller may see and report outcomes of.",
            "LOANLAKE_DECISIONS",
            words={"all": False, "own": True},
        ),
    ] = False
    poll_seconds: float = 0.2
    tokens: TokenOptions | None = None
    history: HistoryPolicy = field(default_factory=HistoryPolicy)
    page_urls: PageUrls = field(default_factory=PageUrls)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServingOptions":
        """Read the API's ``LOANLAKE_*`` variables; raises SettingError naming the variable that cannot be used."""
        env = os.environ if environment is None else environment
        options = cls(
            **read(cls, env),
            tokens=_token_options(env),
            history=HistoryPolicy(**read(HistoryPolicy, env)),
            page_urls=PageUrls.from_environment(env),
        )
        if options.waiting_decisions < options.batch_rows:
            # the largest batch would always get 503
            raise SettingError(
                "LOANLAKE_WAITING_DECISIONS must be at least LOANLAKE_BATCH_ROWS, whose decisions are made durable "
                f"together: found {options.waiting_decisions} and {options.batch_rows}"
            )
        return options


def _token_options(env: Mapping[str, str]) -> TokenOptions | None:
    given = read(TokenOptions, env)
    if not given.keys() - {"scopes_claim", "lenders_claim"}:
        return None
    if not (given.keys() >= {"issuer", "audience"} and given.keys() & {"jwks_file", "secret_file"}):
        found = ", ".join(name for name in sorted(env) if name.startswith("LOANLAKE_JWT_"))
        raise SettingError(
            "tokens need LOANLAKE_JWT_ISSUER, LOANLAKE_JWT_AUDIENCE and one of LOANLAKE_JWT_JWKS_FILE and "
            f"LOANLAKE_JWT_SECRET_FILE: found {found}"
        )
    return TokenOptions(**given)
