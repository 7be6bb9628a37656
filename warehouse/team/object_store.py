"""Keys and addresses of an S3 object store, from the variables and files that all AWS tools read.

``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, or ``AWS_SHARED_CREDENTIALS_FILE`` with ``AWS_PROFILE``, or a role
of the machine; ``AWS_REGION``; ``AWS_ENDPOINT_URL_S3`` for a store that is not Amazon's, which is addressed by path.
MLflow and Dagster read the same ones.
"""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.sql.quoting import literal

if TYPE_CHECKING:
    import pyarrow.fs as pafs

SCHEME = "s3://"


def endpoint(environment: Mapping[str, str] = os.environ) -> str | None:
    """The address of the store; None: Amazon's."""
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None


def region(environment: Mapping[str, str] = os.environ) -> str:
    """The region that requests are signed for."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"


def secret_statement(settings: Settings) -> str:
    """DuckDB's statement that creates the secret of ``LOANLAKE_LAKE_DATA``'s store; never log it."""
    key = _credentials()
    parts = {"provider": "config", "key_id": key.access_key, "secret": key.secret_key, "region": region()}
    if key.token:
        parts["session_token"] = key.token
    found = endpoint()
    more = ""
    if found is not None:
        place = urlsplit(found)
        parts |= {"endpoint": place.netloc, "url_style": "path"}
        more = f", use_ssl {'false' if place.scheme == 'http' else 'true'}"
    scope = settings.lake_data.split("://", 1)[1].split("/")[0]
    settled = ", ".join(f"{name} {literal(value)}" for name, value in parts.items())
    return f"create or replace secret loanlake (type s3, {settled}{more}, scope {literal(f's3://{scope}')})"


def client() -> Any:
    """A boto3 client of the store; raises TeamError without the extra."""
    try:
        import boto3
    except ImportError:
        raise TeamError("an object store needs the extra 'team': pip install 'loanlake[team]'") from None
    return boto3.client("s3", endpoint_url=endpoint(), region_name=region())


def objects_below(client: Any, place: str) -> Iterator[tuple[str, str]]:
    """Bucket and key of each object below ``s3://bucket/prefix``."""
    bucket, _, prefix = place.removeprefix(SCHEME).partition("/")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix.rstrip('/')}/"):
        for entry in page.get("Contents", ()):
            yield bucket, entry["Key"]


def filesystem() -> "pafs.FileSystem":
    """Arrow's view of the store, whose names begin with the bucket's; raises TeamError without the extra or a key."""
    import pyarrow.fs as pafs

    key, found = _credentials(), urlsplit(endpoint() or "")
    return pafs.S3FileSystem(
        access_key=key.access_key,
        secret_key=key.secret_key,
        session_token=key.token,
        region=region(),
        endpoint_override=found.netloc or None,
        scheme=found.scheme or "https",
    )


def _credentials() -> Any:
    try:
        import botocore.session
    except ImportError:
        raise TeamError("an object store needs the extra 'team': pip install 'loanlake[team]'") from None
    found = botocore.session.Session().get_credentials()
    if found is None:
        raise TeamError(
            "LOANLAKE_LAKE_DATA names an object store, which needs a key: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE"
        )
    return found.get_frozen_credentials()
