"""Limits from the environment; what cannot be used is named."""

from pathlib import Path

import pytest

from serving.options import ServingOptions, TokenOptions
from warehouse.errors import SettingError
from warehouse.settings import PageUrls


def test_limits_are_read_from_the_environment() -> None:
    options = ServingOptions.from_environment({"LOANLAKE_BATCH_ROWS": "20", "LOANLAKE_METRICS": "key"})

    assert (options.batch_rows, options.metrics_need_key) == (20, True)
    assert options.body_bytes == ServingOptions().body_bytes


def test_a_batch_that_could_never_be_kept_is_not_allowed() -> None:
    """Of 10,000 rows none fits among 5,000 that may wait: 503 and Retry-After, for ever."""
    with pytest.raises(SettingError, match=r"at least LOANLAKE_BATCH_ROWS.* found 5000 and 10000"):
        ServingOptions.from_environment({"LOANLAKE_BATCH_ROWS": "10000"})


def test_sites_are_named_one_by_one() -> None:
    """``*`` would let every page that a key's holder opens use what their network reaches."""
    named = ServingOptions.from_environment({"LOANLAKE_CORS_ORIGINS": "https://a.example, http://localhost:3000"})

    assert named.cors_origins == ("https://a.example", "http://localhost:3000")
    for wrong in ("*", "https://*.example", "a.example", "https://a.example/path", "null"):
        with pytest.raises(SettingError, match="LOANLAKE_CORS_ORIGINS must be a list of origins"):
            ServingOptions.from_environment({"LOANLAKE_CORS_ORIGINS": wrong})


def test_the_pages_links_lead_to_the_web_and_nowhere_else() -> None:
    """A link that runs a script would run with the key that the browser remembers."""
    named = ServingOptions.from_environment({"LOANLAKE_MLFLOW_URL": "https://mlflow.lender.example/models"})

    assert named.page_urls == PageUrls(mlflow="https://mlflow.lender.example/models")
    for wrong in ("javascript:alert(1)", "mlflow.lender.example", 'http://a.example/"', "https://"):
        with pytest.raises(SettingError, match="LOANLAKE_DAGSTER_URL must be an address"):
            ServingOptions.from_environment({"LOANLAKE_DAGSTER_URL": wrong})


def test_tokens_are_taken_where_their_issuer_is_named() -> None:
    named = {"ISSUER": "https://id.example", "AUDIENCE": "loanlake", "JWKS_FILE": "/etc/jwks.json"}

    options = ServingOptions.from_environment({f"LOANLAKE_JWT_{name}": value for name, value in named.items()})

    assert options.tokens == TokenOptions("https://id.example", "loanlake", Path("/etc/jwks.json"))
    assert ServingOptions.from_environment({}).tokens is None


@pytest.mark.parametrize("alone", ["ISSUER", "AUDIENCE", "JWKS_FILE", "SECRET_FILE"])
def test_tokens_of_just_anybody_are_not_to_be_had(alone: str) -> None:
    """A key file without issuer and audience would let in whatever else that provider signs."""
    with pytest.raises(SettingError, match=f"need LOANLAKE_JWT_ISSUER, .* found LOANLAKE_JWT_{alone}"):
        ServingOptions.from_environment({f"LOANLAKE_JWT_{alone}": "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOANLAKE_BATCH_ROWS", "0"),
        ("LOANLAKE_BATCH_ROWS", "many"),
        ("LOANLAKE_BATCH_ROWS", "10001"),
        ("LOANLAKE_BODY_BYTES", "-1"),
        ("LOANLAKE_WAITING_DECISIONS", "1.5"),
        ("LOANLAKE_METRICS", "closed"),
        ("LOANLAKE_DOCS", "shut"),
        ("LOANLAKE_RATE_LIMIT", "0"),
        ("LOANLAKE_REQUEST_SECONDS", "0"),
        ("LOANLAKE_REQUEST_SECONDS", "nan"),
    ],
)
def test_a_limit_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name} must be .*{value}"):
        ServingOptions.from_environment({name: value})
