"""Erase ids from texts for people: logs, reports, prepared pages, gate messages, the stores of Dagster and MLflow.

A text keeps its length, so that a service can continue its log. SQL changes texts in a database; then the file is
rewritten, since SQLite keeps deleted bytes in free pages.
"""

import mmap
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from warehouse.people.erasure import ERASED
from warehouse.settings import Settings
from warehouse.team import object_store, push, server

_SQLITE = b"SQLite format 3\0"
_BUSY_SECONDS = 20.0
#: Files without text that could name a person.
_NO_TEXTS = {".parquet", ".npz", ".onnx", ".ubj", ".png"}


def erase_texts(settings: Settings, pattern: str) -> int:
    """Erase matches from every text file of the home; return the number of changed files.

    Not here: the lake, landing files, inbox, decision log and online store. In a team also from its servers.
    """
    found = re.compile(pattern)
    n_changed = sum(_erase_from_file(path, found) for path in _files(settings))
    if settings.catalog is not None:
        n_changed += _erase_from_server(settings, pattern) + _erase_from_objects(settings, found)
        push(settings, settings.pages, *(settings.versions(lender) for lender in settings.recorded_lenders()))
    return n_changed


def _files(settings: Settings) -> Iterator[Path]:
    roots = (
        settings.logs,
        settings.reports,
        settings.pages,
        settings.candidates,
        settings.walk_forward,
        settings.dagster_home,
        settings.dbt_target.parent,
        settings.mlflow_database.parent,
    )
    for root in roots:
        yield from (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix not in _NO_TEXTS)
    versions = (settings.versions(lender) for lender in settings.recorded_lenders())
    yield from (path for path in (*versions, settings.sql_history) if path.exists())


def _erase_from_file(path: Path, pattern: re.Pattern[str]) -> bool:
    with path.open("rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if is_database:
        return _erase_from_database(path, pattern)
    if path.name.endswith(("-wal", "-shm")):
        return False  # a database's own
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        places = [found.span() for found in re.finditer(pattern.pattern.encode(), content)]
    if not places:
        return False
    with path.open("r+b") as to_change:
        for begin, end in places:
            to_change.seek(begin)
            to_change.write(b"*" * (end - begin))
    return True


def _erase_from_database(path: Path, pattern: re.Pattern[str]) -> bool:
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        connection.create_function("names", 1, lambda text: _searched(pattern, text), deterministic=True)
        connection.create_function("erased", 1, lambda text: pattern.sub(ERASED, text), deterministic=True)
        tables = connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite%'")
        n_changed = 0
        for (table,) in tables.fetchall():
            for _, column, kind, *_ in connection.execute(f'pragma table_info("{table}")').fetchall():
                if any(word in kind.upper() for word in ("CHAR", "TEXT", "CLOB", "JSON")):
                    n_changed += connection.execute(
                        f'update "{table}" set "{column}" = erased("{column}") where names("{column}")'
                    ).rowcount
        if n_changed:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    return n_changed > 0


def _erase_from_server(settings: Settings, pattern: str) -> int:
    """Erase matches from the stores of MLflow and Dagster on a team's server; the number of changed columns."""
    n_changed = 0
    with server(settings, "erase texts") as connection:
        columns = connection.execute(
            "select format('%I.%I', table_schema, table_name), format('%I', column_name) "
            "from information_schema.columns join information_schema.tables using (table_schema, table_name) "
            "where table_schema in ('mlflow', 'dagster') and table_type = 'BASE TABLE' "
            "and data_type in ('text', 'character varying')"
        ).fetchall()
        words = pattern.replace(r"\b", r"\y")  # PostgreSQL's name for a word's edge
        for table, column in columns:
            changed = connection.execute(
                f"update {table} set {column} = regexp_replace({column}, %s, %s, 'g') where {column} ~ %s",
                [words, ERASED, words],
            )
            n_changed += changed.rowcount > 0
    return n_changed


def _erase_from_objects(settings: Settings, pattern: re.Pattern[str]) -> int:
    """Erase matches from what MLflow and Dagster keep in a team's object store, as from their files in a home."""
    n_changed = 0
    for place in settings.beside_lake.values():
        client = object_store.client()
        for bucket, key in list(object_store.objects_below(client, place)):
            if Path(key).suffix in _NO_TEXTS:
                continue
            content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            erased = re.sub(pattern.pattern.encode(), lambda match: b"*" * len(match[0]), content)
            if erased != content:
                client.put_object(Bucket=bucket, Key=key, Body=erased)
                n_changed += 1
    return n_changed


def _searched(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.search(text) is not None
