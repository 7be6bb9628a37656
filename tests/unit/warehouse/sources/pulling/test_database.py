"""The SQL that each kind of database gets; PostgreSQL itself is in test_pull."""

from collections.abc import Iterator
from typing import Any, Self

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table
from sqlalchemy.dialects import mysql

from warehouse.lenders.connections import ConnectionSettings, PullSettings
from warehouse.sources.pulling import database
from warehouse.sources.pulling.database import engine_of, read_table
from warehouse.sources.pulling.engine import require_dlt

PULL = PullSettings(
    connection="core", table="lending.loans", row_key=("loan_id",), cursor="updated_at", look_back=60, columns=()
)


class Recorded:
    """A connection that answers each statement with no row, and keeps its text."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.statements = engine, list[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execution_options(self, **_: object) -> Self:
        return self

    def execute(self, query: Any) -> Self:
        compiled = query.compile(dialect=self.engine.dialect, compile_kwargs={"literal_binds": True})
        self.statements.append(" ".join(str(compiled).split()))
        return self

    def keys(self) -> list[str]:
        return []

    def partitions(self, size: int) -> Iterator[object]:
        return iter(())

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", ["mysql", "sql_server"])
def test_rows_from_the_cursor_on_and_those_without_one_are_read(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    require_dlt()
    table = Table("loans", MetaData(schema="lending"), Column("loan_id", BigInteger), Column("updated_at", DateTime))
    recorded: list[Recorded] = []

    def connect(engine: Engine) -> Recorded:
        recorded.append(Recorded(engine))
        return recorded[-1]

    monkeypatch.setattr(database, "_reflected", lambda *_: table)
    monkeypatch.setattr(Engine, "connect", connect)
    connection = ConnectionSettings(kind=kind, host="core", database="core", user="reader")

    assert list(read_table("core", connection, PULL, "2024-03-01 10:00:00")) == []
    assert [statement for each in recorded for statement in each.statements] == [
        "SELECT lending.loans.loan_id, lending.loans.updated_at FROM lending.loans "
        "WHERE lending.loans.updated_at >= '2024-03-01 09:59:00' OR lending.loans.updated_at IS NULL"
    ]


def test_a_double_of_mysql_keeps_its_digits() -> None:
    """SQLAlchemy reads it as a decimal of ten digits after the point."""
    column = Column("rate", mysql.DOUBLE())

    database._keep_doubles(Table("loans", MetaData(), column))

    read = column.type.result_processor(mysql.dialect(), None)
    assert (read(1e-12) if read else 1e-12) == 1e-12


@pytest.mark.parametrize(
    ("kind", "driver", "port"),
    [
        ("postgresql", "postgresql+psycopg", 5432),
        ("mysql", "mysql+pymysql", 3306),
        ("sql_server", "mssql+pymssql", 1433),
    ],
)
def test_each_kind_has_its_driver_and_the_password_is_masked(
    kind: Any, driver: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORE_PASSWORD", "pa:ss@word/")
    connection = ConnectionSettings(
        kind=kind, host="core", port=port, database="core", user="reader", secret_from="env:CORE_PASSWORD"
    )

    engine = engine_of("core", connection)

    assert repr(engine.url) == f"{driver}://reader:***@core:{port}/core"
    assert engine.url.password == "pa:ss@word/"


def test_mysql_gets_a_password_as_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyMySQL sends a text in latin1, and the server refuses the right password."""
    monkeypatch.setenv("CORE_PASSWORD", "wörd")
    connection = ConnectionSettings(
        kind="mysql", host="core", database="core", user="reader", secret_from="env:CORE_PASSWORD"
    )
    given = dict[str, object]()
    monkeypatch.setattr("pymysql.connect", lambda **arguments: given.update(arguments) or 1 / 0)

    with pytest.raises(ZeroDivisionError):
        engine_of("core", connection).connect()

    assert given["password"] == "wörd".encode()


def test_options_of_a_person_stay_beside_those_of_every_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock_timeout, for instance, without which a pull waits for a locked table."""
    connection = ConnectionSettings(
        kind="postgresql", host="core", database="core", user="reader", options={"options": "-c lock_timeout=9s"}
    )
    given = dict[str, object]()
    monkeypatch.setattr("psycopg.connect", lambda *_, **arguments: given.update(arguments) or 1 / 0)

    with pytest.raises(ZeroDivisionError):
        engine_of("core", connection).connect()

    assert given["options"] == "-c lock_timeout=9s -c timezone=UTC -c default_transaction_read_only=on"
