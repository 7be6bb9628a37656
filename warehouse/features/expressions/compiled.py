"""Compile the SQL of a feature model into a Python function, once for all requests."""

import linecache
import math
from collections.abc import Collection, Mapping
from datetime import date, datetime
from types import FunctionType, TracebackType
from typing import Any

from warehouse.errors import ExpressionDomainError, ExpressionError
from warehouse.features.expressions import semantics
from warehouse.features.expressions.binding import bind_select
from warehouse.features.expressions.python_source import FUNCTION, PythonSource, write_function
from warehouse.features.expressions.select_text import read_select

_RUNTIME: dict[str, object] = {
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sqrt": math.sqrt,
    "date": date,
    "datetime": datetime,
    **{name: function for name, function in vars(semantics).items() if isinstance(function, FunctionType)},
}


class CompiledSelect:
    """A row-level select as a function of one row of ``inputs``; ``columns`` and DuckDB ``types`` are the result's."""

    __slots__ = ("_code", "_function", "_line_columns", "columns", "inputs", "source", "types")

    def __init__(self, columns: tuple[str, ...], types: tuple[str, ...], source: PythonSource) -> None:
        self.columns = columns
        self.types = types
        self.inputs = source.inputs
        self.source = source.text
        self._line_columns = source.line_columns
        name = f"<row-level select {abs(hash(source.text)):x}>"
        linecache.cache[name] = (len(source.text), None, source.text.splitlines(keepends=True), name)
        namespace: dict[str, Any] = {**_RUNTIME, **source.constants}
        # the text consists of whitelisted templates, numbered variables and repr() of constants, never of SQL names
        exec(compile(source.text, name, "exec"), namespace)  # noqa: S102
        self._function = namespace[FUNCTION]
        self._code = self._function.__code__

    def __call__(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The columns of one row of inputs; a missing value is None.

        Raises ExpressionDomainError naming the column if DuckDB's query would fail (ln(0), integer overflow), a value
        has another type than its input, or the row lacks an input.
        """
        try:
            result: tuple[Any, ...] = self._function(row)
        except ExpressionDomainError as error:
            column = self._column_of(error.__traceback__)
            raise ExpressionDomainError(f"column {column}: {error}" if column else str(error)) from None
        except KeyError as error:
            raise ExpressionDomainError(f"input {error.args[0]} is not in the row; a missing value is None") from None
        return result

    def _column_of(self, traceback: TracebackType | None) -> str:
        while traceback is not None and traceback.tb_frame.f_code is not self._code:
            traceback = traceback.tb_next
        return self._line_columns[traceback.tb_lineno - 1] if traceback is not None else ""


def compile_select(sql: str, *, types: Mapping[str, str], columns: Collection[str] | None = None) -> CompiledSelect:
    """A function that computes the select's columns from one row of its relation.

    ``types``: column of the relation → DuckDB type (``'double'``). ``columns``: only these, in this order (else all).
    Raises ExpressionError naming column and expression for SQL that cannot be proven equal outside DuckDB.

    >>> types = {"amount": "double", "income": "double"}
    >>> ratio = compile_select("select amount / nullif(income, 0) as ratio from t", types=types)
    >>> ratio({"amount": 5000.0, "income": 20000.0}), ratio({"amount": 5000.0, "income": 0.0})
    ((0.25,), (None,))
    """
    bound, errors = bind_select(read_select(sql), types)
    if errors:
        raise errors[0] if len(errors) == 1 else ExpressionError("\n".join(str(error) for error in errors))
    wanted = tuple(bound) if columns is None else tuple(columns)
    absent = [name for name in wanted if name not in bound]
    if absent:
        raise ExpressionError(f"the select has no column {', '.join(absent)}: it has {', '.join(bound)}")
    chosen = {name: bound[name] for name in wanted}
    return CompiledSelect(wanted, tuple(node.type.value for node in chosen.values()), write_function(chosen))


def check_select(sql: str, *, types: Mapping[str, str]) -> tuple[str, ...]:
    """Why the select cannot be compiled, one message a column; empty if it can. For lint."""
    try:
        _, errors = bind_select(read_select(sql), types)
    except ExpressionError as error:
        return (str(error),)
    return tuple(str(error) for error in errors)
