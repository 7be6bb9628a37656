"""Rows of a table through dlt's ``sql_table``: PostgreSQL, MySQL and SQL Server."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warehouse.errors import PullError
from warehouse.lenders.connections import ConnectionSettings, PullSettings
from warehouse.sources.pulling.engine import fault, secret_of
from warehouse.sources.pulling.texts import Cursor, beyond, cursor_of, earlier

if TYPE_CHECKING:
    from sqlalchemy import Engine, Inspector, Table

#: Rows read at a time.
CHUNK_ROWS = 20_000
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "sql_server": "mssql+pymssql"}
#: In the same zone on any machine, and in PostgreSQL unable to write. Elsewhere only the user's rights forbid that.
_POSTGRESQL = "-c timezone=UTC -c default_transaction_read_only=on"
_MYSQL = "set session time_zone = '+00:00'"
_CURSORS = (int, Decimal, date, datetime)


def address(connection: ConnectionSettings, pull: PullSettings) -> str:
    """Where the rows come from, as ``raw.files`` has it."""
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.kind}://{connection.host}{port}/{connection.database} {pull.table}"


def engine_of(name: str, connection: ConnectionSettings) -> "Engine":
    """SQLAlchemy's engine of a connection; connects to nothing yet. Raises SettingError for a missing secret."""
    from sqlalchemy import URL, create_engine, event
    from sqlalchemy.pool import NullPool

    seconds, secret = connection.timeout_seconds, secret_of(name, connection)
    arguments: Mapping[str, Mapping[str, object]] = {
        # the last of two settings counts
        "postgresql": {
            "connect_timeout": seconds,
            "options": f"{connection.options.get('options', '')} {_POSTGRESQL}".strip(),
        },
        # as bytes: PyMySQL would send a text in latin1, and the server refuse a password that is not ASCII
        "mysql": {"connect_timeout": seconds, "init_command": _MYSQL, "password": (secret or "").encode()},
        "sql_server": {"login_timeout": seconds},
    }
    url = URL.create(
        _DRIVERS[connection.kind],
        username=connection.user,
        password=secret,
        host=connection.host,
        port=connection.port,
        database=connection.database,
        query=dict(connection.options),
    )
    # json_deserializer: a document stays as it is written; parsed, 0.10 would become the float 0.1
    engine = create_engine(
        url, poolclass=NullPool, connect_args=dict(arguments[connection.kind]), json_deserializer=_as_written
    )
    if connection.kind == "postgresql":
        event.listen(engine, "connect", _keep_times_beyond)
    return engine


def read_table(
    name: str, connection: ConnectionSettings, pull: PullSettings, cursor: str | None
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Chunks of rows from ``cursor`` on, and of rows without a cursor value, by one statement.

    Raises PullError for a server, login, table or column that cannot be used, SettingError for a missing secret.
    """
    from dlt.sources.sql_database import sql_table
    from sqlalchemy.exc import SQLAlchemyError

    schema, table = _schema_and_table(pull)
    try:
        engine = engine_of(name, connection)
    except ImportError as error:
        raise PullError(
            f"connection {name}: the driver of {connection.kind} is missing ({error}): pip install 'loanlake[dlt]'"
        ) from None
    try:
        reflected = _reflected(engine, name, pull)
        rows = sql_table(
            credentials=engine,
            table=table,
            schema=schema,
            metadata=reflected.metadata,
            chunk_size=CHUNK_ROWS,
            backend="sqlalchemy",
            reflection_level="minimal",
            included_columns=list(pull.columns) or None,
            incremental=_incremental(reflected, pull, cursor),
        )
        yield from _chunks(rows)
    except (SQLAlchemyError, OSError) as error:
        raise _explained(name, connection, error) from None
    except Exception as error:
        cause = _database_error(error)
        if cause is None:
            raise
        raise _explained(name, connection, cause) from None
    finally:
        engine.dispose()


def _incremental(table: "Table", pull: PullSettings, cursor: str | None) -> Any:
    """From where dlt reads; None: all rows. The lake says it: dlt's own memory of earlier rows is not used."""
    import dlt

    if pull.cursor is None:
        return None
    return dlt.sources.incremental(
        pull.cursor,
        initial_value=None if cursor is None else earlier(_typed(cursor, table, pull.cursor), pull.look_back),
        primary_key=(),
        on_cursor_value_missing="include",
        allow_external_schedulers=False,
    )


def _chunks(rows: Any) -> Iterator[list[dict[str, Any]]]:
    """dlt gives row after row; they are collected again into chunks."""
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _schema_and_table(pull: PullSettings) -> tuple[str | None, str]:
    schema, _, table = str(pull.table).rpartition(".")
    return schema or None, table


def _reflected(engine: "Engine", name: str, pull: PullSettings) -> "Table":
    from sqlalchemy import MetaData, Table, inspect

    schema, table = _schema_and_table(pull)
    inspector = inspect(engine)
    if not inspector.has_table(table, schema):
        known = _names(inspector, schema)
        raise PullError(
            f"{name} must have the table {pull.table}, which its user may read: found none{_near(table, known)}"
        )
    found = Table(table, MetaData(schema=schema), autoload_with=engine, resolve_fks=False)
    _keep_doubles(found)
    for column in {*pull.row_key, *pull.columns, *filter(None, [pull.cursor])}:
        if column not in found.columns:
            raise PullError(
                f"{pull.table} of {name} must have the column {column}: found none{_near(column, found.columns.keys())}"
            )
    if pull.cursor is not None and not issubclass(_type(found, pull.cursor), _CURSORS):
        raise PullError(
            f"the cursor {pull.cursor} of {pull.table} must be a column of whole numbers, decimals, dates or times: "
            f"found {found.columns[pull.cursor].type}; choose another, or none, to read all rows each time"
        )
    return found


def _keep_doubles(table: "Table") -> None:
    """MySQL's doubles would become decimals of ten digits after the point: 1e-12 would be 0."""
    from sqlalchemy import Float

    for column in table.columns:
        if isinstance(column.type, Float):
            column.type.asdecimal = False


def _keep_times_beyond(connection: Any, _: object) -> None:
    """psycopg refuses infinity, the year 10000 and years BC: one of them would cost all rows of the table."""
    from psycopg import DataError
    from psycopg.types import datetime as loaders

    def keeping(loader: Any, kind: type[date], zone: tzinfo | None = None) -> type:
        class Keeping(loader):  # type: ignore[misc]  # psycopg's classes are chosen when it is imported
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return beyond(bytes(data).decode(), kind, zone)

        return Keeping

    for name, loader in (
        ("date", keeping(loaders.DateLoader, date)),
        ("timestamp", keeping(loaders.TimestampLoader, datetime)),
        ("timestamptz", keeping(loaders.TimestamptzLoader, datetime, UTC)),
    ):
        connection.adapters.register_loader(name, loader)


def _names(inspector: "Inspector", schema: str | None) -> list[str]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
    except SQLAlchemyError:
        return []


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known)[:20]) or 'none at all'}"


def _type(table: "Table", column: str) -> type:
    try:
        found: type = table.columns[column].type.python_type
    except NotImplementedError:
        return object
    return found


def _typed(cursor: str, table: "Table", column: str | None) -> Cursor:
    found = cursor_of(cursor)
    return Decimal(found) if _type(table, str(column)) is Decimal and isinstance(found, int) else found


def _as_written(document: str | bytes) -> str:
    return document.decode() if isinstance(document, bytes) else document


def _database_error(error: BaseException | None) -> BaseException | None:
    """dlt wraps what a driver raised while rows were read."""
    from sqlalchemy.exc import SQLAlchemyError

    while error is not None and not isinstance(error, SQLAlchemyError):
        error = error.__cause__ or error.__context__
    return error


def _explained(name: str, connection: ConnectionSettings, error: BaseException) -> PullError:
    where = f"{connection.host}{f':{connection.port}' if connection.port else ''}"
    return fault(
        f"connection {name}",
        f"the database {connection.database} on {where} cannot be read as {connection.user}",
        getattr(error, "orig", None) or error,
        secret_of(name, connection),
        "nothing was loaded. Check that the server runs, and host, user, secret_from and the user's rights",
    )
