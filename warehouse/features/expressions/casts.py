"""DuckDB's implicit casts, and the explicit casts of the SQL."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlglot import exp

from warehouse.features.expressions.nodes import Node, Nodes, Refusal
from warehouse.features.expressions.sql_types import INTEGER_BOUNDS, INTEGERS, NUMBERS, TIMES, SqlType

#: A decimal of up to 15 digits becomes a double by one exact division by a power of ten, rounded once as in Python.
MOST_DIGITS = 15
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2}(\.\d{1,6})?)?")
_NOT_FINITE = {"nan", "inf", "-inf"}
_PLAIN_CASTS = {
    **{(source, SqlType.BOOLEAN): "not_zero" for source in (*INTEGERS, SqlType.DOUBLE)},
    **{(source, SqlType.VARCHAR): "text" for source in (SqlType.BOOLEAN, *INTEGERS, *TIMES)},
    (SqlType.DATE, SqlType.TIMESTAMP): "midnight",
    (SqlType.TIMESTAMP, SqlType.DATE): "day_of",
}


def cast_to(nodes: Nodes, expression: exp.Expr, node: Node, target: SqlType, *, lenient: bool = False) -> Node:
    """``cast`` (``try_cast`` when lenient); the node itself if it has the type already."""
    source = node.type
    if source is target:
        return node
    if source is SqlType.NULL:
        return nodes.literal(None, target)
    if target is SqlType.DOUBLE and source in NUMBERS | {SqlType.TINYINT, SqlType.BOOLEAN}:
        return _to_double(nodes, node)
    if target in INTEGERS:
        return _to_integer(nodes, expression, node, target, lenient=lenient)
    if (source, target) in _PLAIN_CASTS:
        return nodes.make(_PLAIN_CASTS[source, target], target, node, value=source.value)
    raise Refusal(expression, f"a cast from {source.value} to {target.value} is not proven equal; type it in staging")


def _to_double(nodes: Nodes, node: Node) -> Node:
    if node.is_literal:
        value = None if node.value is None else float(node.value)  # type: ignore[arg-type]
        return nodes.literal(value, SqlType.DOUBLE)
    if node.type is SqlType.DECIMAL:  # already held as a double
        return nodes.make("same", SqlType.DOUBLE, node, may_be_nan=False)
    return nodes.make("to_double", SqlType.DOUBLE, node, may_be_nan=False)


def _to_integer(nodes: Nodes, expression: exp.Expr, node: Node, target: SqlType, *, lenient: bool) -> Node:
    low, high = INTEGER_BOUNDS[target]
    if node.is_literal and node.type in INTEGERS and isinstance(node.value, int) and low <= node.value <= high:
        return nodes.literal(node.value, target)
    if node.type is SqlType.BOOLEAN:
        return nodes.make("to_whole", target, node)
    if node.type is SqlType.TINYINT or (node.type is SqlType.INTEGER and target is SqlType.BIGINT):
        return nodes.make("same", target, node)
    if node.type in INTEGERS:
        operation = "try_narrow" if lenient else "narrow"
    elif node.type is SqlType.DOUBLE:
        operation = "try_double_to_integer" if lenient else "double_to_integer"
    else:
        raise Refusal(expression, f"a cast from {node.type.value} to {target.value} is not proven equal")
    return nodes.make(
        operation, target, node, value=(low, high), may_be_null=True if lenient else None, raises="domain"
    )


def literal_time(nodes: Nodes, expression: exp.Expr, text: str, target: SqlType) -> Node:
    """``date '2024-02-29'``, ``timestamp '…'`` and ``cast('nan' as double)``: constants written as text."""
    try:
        if target is SqlType.DATE and _DATE.fullmatch(text):
            return nodes.literal(date.fromisoformat(text), target)
        if target is SqlType.TIMESTAMP and _TIMESTAMP.fullmatch(text):
            return nodes.literal(datetime.fromisoformat(_with_microseconds(text)), target)
    except ValueError as error:
        raise Refusal(expression, f"{text!r} is no {target.value}: {error}") from error
    if target is SqlType.DOUBLE and text in _NOT_FINITE:
        return nodes.literal(float(text), target)
    raise Refusal(
        expression, f"{text!r} as {target.value}: write 'YYYY-MM-DD', 'YYYY-MM-DD HH:MM:SS', or the number itself"
    )


def _with_microseconds(text: str) -> str:
    # Python 3.11 reads three or six digits of a second, DuckDB one to six
    whole, dot, fraction = text.partition(".")
    return whole + dot + fraction.ljust(6, "0") if dot else whole


def unify(nodes: Nodes, expression: exp.Expr, args: Sequence[Node]) -> list[Node]:
    """Branches cast to their common type; raises Refusal to mix text or booleans with numbers, or for decimals."""
    types = {arg.type for arg in args} - {SqlType.NULL}
    if not types:
        return list(args)
    if len(types) == 1:
        common = next(iter(types))
    elif types <= NUMBERS:
        common = _common_number(expression, args, types)
    elif types <= TIMES:
        common = SqlType.TIMESTAMP
    else:
        names = " and ".join(sorted(found.value for found in types))
        raise Refusal(expression, f"it mixes {names}; cast them to one type")
    if common is SqlType.DECIMAL:
        return _as_decimals(nodes, expression, args)
    return [cast_to(nodes, expression, arg, common) for arg in args]


def _common_number(expression: exp.Expr, args: Sequence[Node], types: set[SqlType]) -> SqlType:
    if SqlType.DOUBLE in types:
        return SqlType.DOUBLE
    if SqlType.DECIMAL not in types:
        return SqlType.BIGINT
    if any(arg.type in INTEGERS and not arg.is_literal for arg in args):
        raise Refusal(
            expression,
            "it mixes a decimal literal with whole numbers, which DuckDB computes as DECIMAL; cast the whole number "
            "to double",
        )
    return SqlType.DECIMAL


def _as_decimals(nodes: Nodes, expression: exp.Expr, args: Sequence[Node]) -> list[Node]:
    # DuckDB uses one scale: up to 15 digits the scaled integer is exact in a double, and the value rounds once
    literals = [literal for arg in args for literal in _literals(arg)]
    scale = max((-int(literal.as_tuple().exponent) for literal in literals), default=0)
    largest = max((abs(literal) for literal in literals), default=Decimal(0))
    if largest.scaleb(scale) >= 10**MOST_DIGITS:
        raise Refusal(expression, f"its decimals have more than {MOST_DIGITS} digits between them; cast each to double")
    return [
        arg
        if arg.type is SqlType.DECIMAL
        else nodes.literal(None if arg.value is None else Decimal(str(arg.value)), SqlType.DECIMAL)
        for arg in args
    ]


def _literals(node: Node) -> Iterator[Decimal]:
    if node.is_literal and node.value is not None:
        yield Decimal(str(node.value))
    elif node.type is SqlType.DECIMAL:
        for arg in node.args:
            if arg.type is SqlType.DECIMAL:
                yield from _literals(arg)
