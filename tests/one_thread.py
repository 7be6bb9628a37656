"""DuckDB with one thread, as tests use it: a query on a small lake takes twice the processor time with two."""

from pathlib import Path
from typing import Any

import duckdb

_connect = duckdb.connect


def _connect_with_one_thread(
    database: str | Path = ":memory:", read_only: bool = False, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    return _connect(database, read_only, {"threads": 1} | (config or {}))


def use_one_thread() -> None:
    """From now on in this process; a connection may ask for more."""
    duckdb.connect = _connect_with_one_thread
