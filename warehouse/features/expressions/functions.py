"""Operators and functions of the row-level subset: argument types, result types and possible errors."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

from sqlglot import exp

from warehouse.features.expressions.casts import cast_to
from warehouse.features.expressions.nodes import Node, Nodes
from warehouse.features.expressions.refusal import Refusal
from warehouse.features.expressions.sql_types import INTEGER_BOUNDS, INTEGERS, NUMBERS, TIMES, SqlType

_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "add", exp.Sub: "subtract", exp.Mul: "multiply"}
_LOGARITHMS = {None: "log10", "10": "log10", "2": "log2"}
_PARTS: dict[type[exp.Expr], str] = {
    exp.Year: "year",
    exp.Quarter: "quarter",
    exp.Month: "month",
    exp.Day: "day",
    exp.DayOfMonth: "day",
    exp.DayOfWeek: "dow",
    exp.DayOfWeekIso: "isodow",
    exp.DayOfYear: "doy",
}
_PART_NAMES = {"dayofweek": "dow", "dayofyear": "doy", "dayofmonth": "day"}
_DIFFERENCES = {"year", "quarter", "month", "day"}


class Binder(Protocol):
    """What a function uses of the binder."""

    nodes: Nodes

    def bind(self, expression: exp.Expr) -> Node:
        """The node of an argument."""
        ...


def _arithmetic(binder: Binder, expression: Any) -> Node:
    operation = _ARITHMETIC[type(expression)]
    left, right = binder.bind(expression.this), binder.bind(expression.expression)
    if SqlType.DATE in (left.type, right.type):
        return _date_arithmetic(binder, expression, left, right)
    _numbers(expression, left, right)
    types = {left.type, right.type}
    if SqlType.DOUBLE in types:
        left, right = (cast_to(binder.nodes, expression, side, SqlType.DOUBLE) for side in (left, right))
        return binder.nodes.make(operation, SqlType.DOUBLE, left, right)
    if SqlType.DECIMAL in types:
        raise Refusal(expression, "DuckDB computes it as DECIMAL; cast one side to double")
    common = SqlType.BIGINT if SqlType.BIGINT in types else SqlType.INTEGER
    return binder.nodes.make(operation, common, left, right, raises="overflow")


def _date_arithmetic(binder: Binder, expression: exp.Expr, left: Node, right: Node) -> Node:
    nodes, types = binder.nodes, (left.type, right.type)
    if isinstance(expression, exp.Sub) and types == (SqlType.DATE, SqlType.DATE):
        return nodes.make("days_between", SqlType.BIGINT, right, left)
    if isinstance(expression, exp.Sub) and types == (SqlType.DATE, SqlType.INTEGER):
        return nodes.make("subtract_days", SqlType.DATE, left, right, raises="domain")
    if isinstance(expression, exp.Add) and types == (SqlType.DATE, SqlType.INTEGER):
        return nodes.make("add_days", SqlType.DATE, left, right, raises="domain")
    raise Refusal(expression, "of dates, only `date - date` and `date ± integer` are known; use date_diff")


def _division(binder: Binder, expression: exp.Div) -> Node:
    left, right = _doubles(binder, expression, expression.this, expression.expression)
    return binder.nodes.make("divide", SqlType.DOUBLE, left, right)


def _whole_division(binder: Binder, expression: exp.IntDiv) -> Node:
    left, right = binder.bind(expression.this), binder.bind(expression.expression)
    if not {left.type, right.type} <= INTEGERS:
        raise Refusal(expression, "// of anything but whole numbers is plain division in DuckDB; write floor(x / y)")
    common = SqlType.BIGINT if SqlType.BIGINT in (left.type, right.type) else SqlType.INTEGER
    return binder.nodes.make("whole_quotient", common, left, right, may_be_null=True, raises="overflow")


def _modulo(binder: Binder, expression: exp.Mod) -> Node:
    left, right = binder.bind(expression.this), binder.bind(expression.expression)
    _numbers(expression, left, right)
    types = {left.type, right.type}
    if types <= INTEGERS:
        common = SqlType.BIGINT if SqlType.BIGINT in types else SqlType.INTEGER
        lowest = INTEGER_BOUNDS[common][0]
        return binder.nodes.make(
            "whole_remainder", common, left, right, value=lowest, may_be_null=True, raises="overflow"
        )
    if SqlType.DOUBLE not in types:
        raise Refusal(expression, "DuckDB computes it as DECIMAL; cast one side to double")
    left, right = (cast_to(binder.nodes, expression, side, SqlType.DOUBLE) for side in (left, right))
    return binder.nodes.make("remainder", SqlType.DOUBLE, left, right)


def _negative(binder: Binder, expression: exp.Neg) -> Node:
    node = binder.bind(expression.this)
    _numbers(expression, node)
    if node.is_literal and isinstance(node.value, int):
        # -2147483648 is a BIGINT in DuckDB too: the sign applies to the literal 2147483648
        return binder.nodes.literal(-node.value, node.type)
    if node.is_literal and isinstance(node.value, Decimal):
        return binder.nodes.literal(-node.value if node.value else node.value, node.type)
    if node.type is SqlType.DECIMAL:
        raise Refusal(expression, "DuckDB computes it as DECIMAL; cast it to double")
    raises = "overflow" if node.type in INTEGERS else "never"
    return binder.nodes.make("negate", node.type, node, raises=raises)  # type: ignore[arg-type]


def _logarithm(binder: Binder, expression: exp.Log | exp.Ln) -> Node:
    if isinstance(expression, exp.Ln):
        name, argument = "ln", expression.this
    else:
        base, argument = expression.this, expression.expression
        if argument is None:
            base, argument = None, base
        named = base.this if isinstance(base, exp.Literal) else base
        if named not in _LOGARITHMS:
            raise Refusal(expression, "the base must be 2 or 10; divide two ln")
        name = _LOGARITHMS[named]
    (node,) = _doubles(binder, expression, argument)
    return binder.nodes.make(name, SqlType.DOUBLE, node, raises="domain")


def _square_root(binder: Binder, expression: exp.Sqrt) -> Node:
    (node,) = _doubles(binder, expression, expression.this)
    return binder.nodes.make("sqrt", SqlType.DOUBLE, node, raises="domain")


def _exponential(binder: Binder, expression: exp.Exp) -> Node:
    (node,) = _doubles(binder, expression, expression.this)
    return binder.nodes.make("exp", SqlType.DOUBLE, node)


def _power(binder: Binder, expression: exp.Pow) -> Node:
    base, exponent = _doubles(binder, expression, expression.this, expression.expression)
    return binder.nodes.make("pow", SqlType.DOUBLE, base, exponent)


def _floor_or_ceiling(binder: Binder, expression: exp.Floor | exp.Ceil) -> Node:
    if expression.args.get("decimals") or expression.args.get("to"):
        raise Refusal(expression, "only one argument is known")
    node = binder.bind(expression.this)
    if node.type not in {*INTEGERS, SqlType.DOUBLE}:
        raise Refusal(expression, f"a double or a whole number is needed: found {node.type.value}; cast it to double")
    node = cast_to(binder.nodes, expression, node, SqlType.DOUBLE)
    return binder.nodes.make("floor" if isinstance(expression, exp.Floor) else "ceiling", SqlType.DOUBLE, node)


def _round(binder: Binder, expression: exp.Round) -> Node:
    node = binder.bind(expression.this)
    digits = _round_digits(binder, expression)
    if node.type in INTEGERS and digits >= 0:
        return node
    if node.type is not SqlType.DOUBLE:
        raise Refusal(expression, f"a double is needed: found {node.type.value}; cast it to double")
    if digits == 0 and expression.args.get("decimals") is None:
        return binder.nodes.make("round", SqlType.DOUBLE, node)
    operation = "round_to_digits" if digits >= 0 else "round_to_tens"
    return binder.nodes.make(operation, SqlType.DOUBLE, node, value=math.pow(10.0, abs(digits)))


def _round_digits(binder: Binder, expression: exp.Round) -> int:
    decimals = expression.args.get("decimals")
    if decimals is None:
        return 0
    node = binder.bind(decimals)
    if not (node.is_literal and isinstance(node.value, int) and abs(node.value) <= 300):
        raise Refusal(expression, "the number of digits must be a whole number written out")
    return node.value


def _absolute(binder: Binder, expression: exp.Abs) -> Node:
    node = binder.bind(expression.this)
    if node.type is SqlType.DOUBLE:
        return binder.nodes.make("absolute", node.type, node)
    if node.type in INTEGERS:
        return binder.nodes.make("absolute", node.type, node, raises="overflow")
    raise Refusal(expression, f"a number is needed: found {node.type.value}; cast it to double")


def _sign(binder: Binder, expression: exp.Sign) -> Node:
    node = binder.bind(expression.this)
    if node.type not in {*INTEGERS, SqlType.DOUBLE}:
        raise Refusal(expression, f"a number is needed: found {node.type.value}; cast it to double")
    return binder.nodes.make("sign", SqlType.TINYINT, node)


def _case(binder: Binder, expression: exp.Lower | exp.Upper) -> Node:
    operation = "lower" if isinstance(expression, exp.Lower) else "upper"
    return binder.nodes.make(operation, SqlType.VARCHAR, _text(binder, expression, expression.this))


def _trim(binder: Binder, expression: exp.Trim) -> Node:
    if expression.expression or expression.args.get("position"):
        raise Refusal(expression, "only trim(text) is known")
    return binder.nodes.make("trim", SqlType.VARCHAR, _text(binder, expression, expression.this))


def _left(binder: Binder, expression: exp.Left) -> Node:
    count = binder.bind(expression.expression)
    if not (count.is_literal and isinstance(count.value, int) and count.value >= 0):
        raise Refusal(expression, "the number of characters must be written out")
    return binder.nodes.make("left", SqlType.VARCHAR, _text(binder, expression, expression.this), value=count.value)


def _length(binder: Binder, expression: exp.Length) -> Node:
    return binder.nodes.make("length", SqlType.BIGINT, _text(binder, expression, expression.this))


def _concatenation(binder: Binder, expression: exp.DPipe) -> Node:
    sides = (_text(binder, expression, expression.this), _text(binder, expression, expression.expression))
    return binder.nodes.make("concatenate", SqlType.VARCHAR, *sides)


def _date_difference(binder: Binder, expression: exp.DateDiff) -> Node:
    unit = str(expression.args["unit"].name).lower() if expression.args.get("unit") else None
    if unit not in _DIFFERENCES:
        raise Refusal(expression, f"the unit must be one of {', '.join(sorted(_DIFFERENCES))}: found {unit}")
    start, end = binder.bind(expression.expression), binder.bind(expression.this)
    for node in (start, end):
        if node.type not in TIMES:
            raise Refusal(expression, f"dates or timestamps are needed: found {node.type.value}")
    return binder.nodes.make(f"{unit}s_between", SqlType.BIGINT, start, end)


def _date_part(binder: Binder, expression: Any) -> Node:
    part, argument = _PARTS[type(expression)], expression.this
    return _part(binder, expression, part, argument)


def _extract(binder: Binder, expression: exp.Extract) -> Node:
    named = expression.this.name.lower()
    return _part(binder, expression, _PART_NAMES.get(named, named), expression.expression)


def _part(binder: Binder, expression: exp.Expr, part: str, argument: exp.Expr) -> Node:
    if part not in _PARTS.values():
        raise Refusal(expression, f"the part must be one of {', '.join(sorted(set(_PARTS.values())))}: found {part}")
    node = binder.bind(argument)
    if node.type not in TIMES:
        raise Refusal(expression, f"a date or timestamp is needed: found {node.type.value}")
    return binder.nodes.make(f"part_{part}", SqlType.BIGINT, node)


def _numbers(expression: exp.Expr, *nodes: Node) -> None:
    for node in nodes:
        if node.type not in NUMBERS:
            raise Refusal(expression, f"numbers are needed: found {node.type.value}; cast explicitly")


def _doubles(binder: Binder, expression: exp.Expr, *arguments: exp.Expr) -> tuple[Node, ...]:
    bound = [binder.bind(argument) for argument in arguments]
    _numbers(expression, *bound)
    return tuple(cast_to(binder.nodes, expression, node, SqlType.DOUBLE) for node in bound)


def _text(binder: Binder, expression: exp.Expr, argument: exp.Expr) -> Node:
    node = binder.bind(argument)
    if node.type is not SqlType.VARCHAR:
        raise Refusal(expression, f"text is needed: found {node.type.value}; cast it to varchar")
    return node


FUNCTIONS: dict[type[exp.Expr], Callable[[Binder, Any], Node]] = {
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    exp.Div: _division,
    exp.IntDiv: _whole_division,
    exp.Mod: _modulo,
    exp.Neg: _negative,
    exp.Ln: _logarithm,
    exp.Log: _logarithm,
    exp.Sqrt: _square_root,
    exp.Exp: _exponential,
    exp.Pow: _power,
    exp.Floor: _floor_or_ceiling,
    exp.Ceil: _floor_or_ceiling,
    exp.Round: _round,
    exp.Abs: _absolute,
    exp.Sign: _sign,
    exp.Lower: _case,
    exp.Upper: _case,
    exp.Trim: _trim,
    exp.Left: _left,
    exp.Length: _length,
    exp.DPipe: _concatenation,
    exp.DateDiff: _date_difference,
    **dict.fromkeys(_PARTS, _date_part),
    exp.Extract: _extract,
}
