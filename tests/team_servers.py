"""The servers of a team for tests: a PostgreSQL database, a prefix in Redis, a bucket of moto's server.

Needs a PostgreSQL server on which the connecting user may create a database, ``LOANLAKE_TEST_POSTGRES`` (a libpq
connection string) or one at 127.0.0.1:5432 with a database ``test``, and for some tests the Redis server of
``LOANLAKE_TEST_REDIS``. Tests are skipped where there is none.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from tests.free_ports import free_port
from tests.tls_servers import TlsServers, missing_programs, tls_servers

SERVER = os.environ.get("LOANLAKE_TEST_POSTGRES", "host=127.0.0.1 port=5432 dbname=test connect_timeout=3")
REDIS = os.environ.get("LOANLAKE_TEST_REDIS", "redis://127.0.0.1:6379/0")
_SECONDS_TO_START = 60.0
_BUCKET = "lender"
#: The server may trust this machine without one; what is given must show nowhere.
PASSWORD = "word-of-the-tests"


@contextmanager
def database() -> Iterator[str]:
    """A new database, as libpq's connection string; dropped afterwards."""
    try:
        server = psycopg.connect(SERVER, autocommit=True)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server to test with ({str(error).splitlines()[0]}); set LOANLAKE_TEST_POSTGRES")
    name = f"loanlake_test_{uuid.uuid4().hex[:12]}"
    with server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield psycopg.conninfo.make_conninfo(SERVER, dbname=name)
        finally:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def object_store(log: Path) -> Iterator[dict[str, str]]:
    """moto's server with an empty bucket: the AWS variables that lead there."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    variables = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
        "AWS_REGION": "us-east-1",
    }
    try:
        _create_bucket(variables["AWS_ENDPOINT_URL_S3"], process, log)
        yield variables
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def servers_over_tls(log: Path) -> Iterator[tuple[dict[str, str], TlsServers]]:
    """All three, the first two of the tests' own; as the variables that a machine of the team needs."""
    if (missing := missing_programs()) is not None:
        pytest.skip(f"TLS needs servers of the tests' own: {missing}")
    with tls_servers(PASSWORD) as own, object_store(log) as variables:
        yield (
            variables
            | {
                "LOANLAKE_CATALOG": f"postgres:{own.catalog}",
                "LOANLAKE_LAKE_DATA": f"s3://{_BUCKET}/lake",
                "LOANLAKE_REDIS_URL": own.redis_url,
                "LOANLAKE_REDIS_TIMEOUT_SECONDS": "5",
            },
            own,
        )


@contextmanager
def servers(log: Path) -> Iterator[dict[str, str]]:
    """All three, as the variables that a machine of the team needs."""
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.RedisError as error:
        pytest.skip(f"no Redis server to test with ({error}); set LOANLAKE_TEST_REDIS")
    prefix = f"loanlake-test:{uuid.uuid4().hex[:12]}"
    with database() as catalog, object_store(log) as variables:
        yield variables | {
            "LOANLAKE_CATALOG": f"postgres:{catalog} password={PASSWORD}",
            "LOANLAKE_LAKE_DATA": f"s3://{_BUCKET}/lake",
            "LOANLAKE_REDIS_URL": REDIS,
            "LOANLAKE_REDIS_PREFIX": prefix,
            "LOANLAKE_REDIS_TIMEOUT_SECONDS": "5",
        }
    if keys := list(client.scan_iter(f"{prefix}:*", count=1_000)):
        client.delete(*keys)
    client.close()


def _create_bucket(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    request = urllib.request.Request(f"{address}/{_BUCKET}", method="PUT")
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"moto's server did not start: {log.read_text()}")
