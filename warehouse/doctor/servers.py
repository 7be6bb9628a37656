"""Checks of a team's servers: PostgreSQL, Redis, the object store; and of its other machines."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from warehouse.doctor.finding import Finding, checked, clock
from warehouse.settings import Settings
from warehouse.team import object_store, server
from warehouse.team.machines import machines

#: DuckLake, MLflow and Dagster are tested with it; older ones get no fixes any more.
_OLDEST_POSTGRES = 13
_OLDEST_REDIS = 6
_WITHIN = "Check that the address is right, the server runs, and a firewall lets this machine through."


def server_findings(settings: Settings) -> Iterator[Finding | None]:
    """A finding for each server that the settings name, or should."""
    if settings.catalog is not None:
        yield checked("postgresql", lambda: _postgres(settings), advice=f"LOANLAKE_CATALOG: {_WITHIN}")
        yield checked("tls", lambda: _tls(settings), advice=f"LOANLAKE_CATALOG: {_WITHIN}")
        yield checked("machines", lambda: _machines(settings), advice=f"LOANLAKE_CATALOG: {_WITHIN}")
        yield checked("team", lambda: _team(settings), advice="")
    if settings.redis_url is not None:
        yield checked("redis", lambda: _redis(settings), advice=f"LOANLAKE_REDIS_URL: {_WITHIN}")
    if "://" in settings.lake_data:
        yield checked(
            "object store",
            lambda: _store(settings),
            advice=f"LOANLAKE_LAKE_DATA and the AWS variables (docs/team.md): {_WITHIN}",
        )


def _postgres(settings: Settings) -> Finding:
    with server(settings, "doctor") as con:
        began = time.time()
        ((now, number, version, may_create),) = con.execute(
            "select extract(epoch from clock_timestamp())::float8, current_setting('server_version_num')::int, "
            "current_setting('server_version'), has_database_privilege(current_database(), 'create')"
        ).fetchall()
        apart = now - (began + time.time()) / 2
        stores = con.execute(
            "select count(*) filter (where schemaname = 'mlflow'), count(*) filter (where schemaname = 'dagster') "
            "from pg_tables"
        ).fetchone() or (0, 0)
    verdict, words, advice = clock(apart)
    found = f"version {version}, {words}, tables of MLflow {stores[0]}, of Dagster {stores[1]}"
    if number < _OLDEST_POSTGRES * 10_000:
        return Finding("postgresql", "failed", found, f"Use PostgreSQL {_OLDEST_POSTGRES} or newer.")
    if not may_create:
        return Finding(
            "postgresql", "failed", f"{found}, no right to create schemas", "Run `grant create on database … to …`."
        )
    return Finding("postgresql", verdict, found, advice)


def _tls(settings: Settings) -> Finding | None:
    with server(settings, "doctor") as con:
        host, mode = con.info.host, con.info.get_parameters().get("sslmode", "prefer")
        is_encrypted = con.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone() == (True,)
    if not is_encrypted and (host.startswith("/") or host in ("127.0.0.1", "::1", "localhost")):
        return None
    if mode == "verify-full" and is_encrypted:
        return Finding("tls", "ok", "PostgreSQL's certificate is verified")
    return Finding(
        "tls",
        "warning",
        f"sslmode={mode}: {'another server could pose as this one' if is_encrypted else 'the connection is readable'}",
        "Add sslmode=verify-full and sslrootcert=… to LOANLAKE_CATALOG.",
    )


def _machines(settings: Settings) -> Finding:
    found = machines(settings)
    silent = [each for each in found if each.is_silent]
    if silent:
        return Finding(
            "machines",
            "warning",
            "; ".join(each.sentence for each in silent),
            "One that will not come back: `loanlake team forget MACHINE` (docs/team.md says what is lost).",
        )
    n_waiting = sum(each.n_waiting for each in found)
    return Finding("machines", "ok", f"{len(found)} report, {n_waiting:,} entries wait on their disks")


def _team(settings: Settings) -> Finding | None:
    missing = []
    if settings.redis_url is None:
        missing.append("LOANLAKE_REDIS_URL (each machine has an online store and rate limits of its own)")
    if settings.erasure == "pseudonymise" and settings.erasure_key is None:
        missing.append("LOANLAKE_ERASURE_KEY (each machine would make other pseudonyms)")
    if "://" not in settings.lake_data and not os.path.ismount(settings.lake_data):
        missing.append("LOANLAKE_LAKE_DATA on an object store (other machines do not see this directory)")
    if not missing:
        return None
    return Finding("team", "warning", f"not set: {'; '.join(missing)}", "Set them to the same value on every machine.")


def _redis(settings: Settings) -> Finding:
    import redis

    client = redis.Redis.from_url(
        settings.redis_url or "", socket_timeout=3, socket_connect_timeout=3, decode_responses=True
    )
    try:
        about: Any = client.info("server")
        began = time.time()
        seconds, micros = client.time()
        apart = seconds + micros / 1e6 - (began + time.time()) / 2
        probe = f"{settings.redis_prefix}:doctor"
        client.set(probe, "1", ex=10)
        client.delete(probe)
    finally:
        client.close()
    verdict, words, advice = clock(apart)
    found = f"version {about['redis_version']}, may write, {words}"
    if int(about["redis_version"].split(".")[0]) < _OLDEST_REDIS:
        return Finding("redis", "failed", found, f"Use Redis {_OLDEST_REDIS} or newer.")
    return Finding("redis", verdict, found, advice)


def _store(settings: Settings) -> Finding:
    bucket, _, prefix = settings.lake_data.partition("://")[2].partition("/")
    # beside the lake's files, where maintenance does not look
    key = f"{prefix.rstrip('/')}-doctor/{os.getpid()}"
    client = object_store.client()
    began = time.time()
    answer = client.put_object(Bucket=bucket, Key=key, Body=b"doctor")
    told: datetime = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    apart = told.timestamp() + 0.5 - (began + time.time()) / 2  # the header has whole seconds
    if client.get_object(Bucket=bucket, Key=key)["Body"].read() != b"doctor":
        return Finding(
            "object store", "failed", f"{bucket} returns other bytes than were written", "Use another store."
        )
    client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    client.delete_object(Bucket=bucket, Key=key)
    verdict, words, advice = clock(apart)
    return Finding("object store", verdict, f"bucket {bucket}: may write, read, list and delete, {words}", advice)
