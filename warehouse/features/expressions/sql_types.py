"""The DuckDB types that row-level feature SQL may use."""

from datetime import date, datetime
from enum import Enum


class SqlType(Enum):
    """A static type of an expression; the value is DuckDB's name for it.

    DECIMAL is the type of literals such as ``0.5`` and of choices among them; the Python value is the nearest double,
    as in DuckDB once combined with a double. TINYINT is the result of ``sign``, NULL a bare null.
    """

    BOOLEAN = "BOOLEAN"
    TINYINT = "TINYINT"
    INTEGER = "INTEGER"
    BIGINT = "BIGINT"
    DECIMAL = "DECIMAL"
    DOUBLE = "DOUBLE"
    VARCHAR = "VARCHAR"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    NULL = "NULL"


INTEGERS = frozenset({SqlType.INTEGER, SqlType.BIGINT})
NUMBERS = frozenset({*INTEGERS, SqlType.DECIMAL, SqlType.DOUBLE})
TIMES = frozenset({SqlType.DATE, SqlType.TIMESTAMP})
#: Inclusive bounds; beyond them DuckDB raises.
INTEGER_BOUNDS = {SqlType.INTEGER: (-(2**31), 2**31 - 1), SqlType.BIGINT: (-(2**63), 2**63 - 1)}
#: The exact Python type of a value of each input type.
PYTHON_TYPES: dict[SqlType, type] = {
    SqlType.BOOLEAN: bool,
    SqlType.INTEGER: int,
    SqlType.BIGINT: int,
    SqlType.DOUBLE: float,
    SqlType.VARCHAR: str,
    SqlType.DATE: date,
    SqlType.TIMESTAMP: datetime,
}

_NAMES = {
    **dict.fromkeys(("boolean", "bool", "logical"), SqlType.BOOLEAN),
    **dict.fromkeys(("integer", "int", "int4", "signed"), SqlType.INTEGER),
    **dict.fromkeys(("bigint", "int8", "long"), SqlType.BIGINT),
    **dict.fromkeys(("double", "float8", "double precision"), SqlType.DOUBLE),
    **dict.fromkeys(("varchar", "text", "string"), SqlType.VARCHAR),
    "date": SqlType.DATE,
    **dict.fromkeys(("timestamp", "datetime"), SqlType.TIMESTAMP),
}


def column_type(name: str) -> SqlType | None:
    """The type for a declared name (``'double'``, ``'int8'``); None if row-level SQL may not read it."""
    return _NAMES.get(name.strip().lower())
