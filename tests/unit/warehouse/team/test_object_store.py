"""Keys of the object store: from the variables and files of all AWS tools, and in no error."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import LakeError
from warehouse.lake import connection
from warehouse.settings import Settings
from warehouse.team.object_store import secret_statement

KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}


@pytest.fixture
def on_s3(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return replace(home, lake_data="s3://lender/lake")


def test_amazons_store_is_addressed_by_host(on_s3: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    statement = secret_statement(on_s3)

    assert statement == (
        "create or replace secret loanlake (type s3, provider 'config', key_id 'an-id', secret 'a-secret-key', "
        "region 'eu-central-1', scope 's3://lender')"
    )


def test_another_store_is_addressed_by_path(on_s3: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")

    statement = secret_statement(on_s3)

    assert "endpoint '127.0.0.1:9000', url_style 'path', use_ssl false" in statement


def test_a_file_may_hold_the_key(on_s3: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    (tmp_path / "aws").write_text("[default]\naws_access_key_id = of-a-file\naws_secret_access_key = hidden\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))

    assert "key_id 'of-a-file', secret 'hidden'" in secret_statement(on_s3)


def test_an_error_of_the_secret_does_not_show_it(on_s3: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB's message quotes the statement: without its extension, or with a wrong word."""
    with (
        duckdb.connect() as con,
        pytest.raises(LakeError, match=r"the key of s3://lender/lake cannot be used") as raised,
    ):
        connection._give_key(con, on_s3)

    assert "a-secret-key" not in str(raised.value)
    assert raised.value.__cause__ is None
