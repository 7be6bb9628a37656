"""Operators and functions of the row-level subset: argument types, result types and possible errors."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

from sqlglot import exp

from warehouse.features.expressions.casts import cast_to
from warehouse.features.expressions.nodes import Node, Nodes, Raises, Refusal
from warehouse.features.expressions.sql_types import INTEGER_BOUNDS, INTEGERS, NUMBERS, TIMES, SqlType

_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "add", exp.Sub: "subtract", exp.Mul: "multiply"}
#: Functions of numbers, each cast to double, and their errors.
_OF_DOUBLES: dict[type[exp.Expr], tuple[str, Raises]] = {
    exp.Div: ("divide", "never"),
    exp.Exp: ("exp", "never"),
    exp.Ln: ("ln", "domain"),
    exp.Pow: ("pow", "never"),
    exp.Sqrt: ("sqrt", "domain"),
}
#: Functions of texts, and their results.
_OF_TEXTS: dict[type[exp.Expr], tuple[str, SqlType]] = {
    exp.DPipe: ("concatenate", SqlType.VARCHAR),
    exp.Length: ("length", SqlType.BIGINT),
    exp.Lower: ("lower", SqlType.VARCHAR),
    exp.Upper: ("upper", SqlType.VARCHAR),
}
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


def _arithmetic(binder: Binder, expression: exp.Binary) -> Node:
    operation = _ARITHMETIC[type(expression)]
    left, right = binder.bind(expression.this), binder.bind(expression.expression)
    if SqlType.DATE in (left.type, right.type):
        return _date_arithmetic(binder, expression, left, right)
    common, left, right = _of_one_type(binder, expression, left, right)
    return binder.nodes.make(operation, common, left, right, raises="never" if common is SqlType.DOUBLE else "overflow")


def _date_arithmetic(binder: Binder, expression: exp.Expr, left: Node, right: Node) -> Node:
    nodes, types = binder.nodes, (left.type, right.type)
    if isinstance(expression, exp.Sub) and types == (SqlType.DATE, SqlType.DATE):
        return nodes.make("days_between", SqlType.BIGINT, right, left)
    if isinstance(expression, exp.Sub) and types == (SqlType.DATE, SqlType.INTEGER):
        return nodes.make("subtract_days", SqlType.DATE, left, right, raises="domain")
    if isinstance(expression, exp.Add) and types == (SqlType.DATE, SqlType.INTEGER):
        return nodes.make("add_days", SqlType.DATE, left, right, raises="domain")
    raise Refusal(expression, "of dates, only `date - date` and `date ± integer` are known; use date_diff")


def _whole_division(binder: Binder, expression: exp.IntDiv) -> Node:
    left, right = binder.bind(expression.this), binder.bind(expression.expression)
    if not {left.type, right.type} <= INTEGERS:
        raise Refusal(expression, "// of anything but whole numbers is plain division in DuckDB; write floor(x / y)")
    common, left, right = _of_one_type(binder, expression, left, right)
    return binder.nodes.make("whole_quotient", common, left, right, may_be_null=True, raises="overflow")


def _modulo(binder: Binder, expression: exp.Mod) -> Node:
    left, right = binder.bind(expression.this), binder.bind(expression.expression)
    common, left, right = _of_one_type(binder, expression, left, right)
    if common is SqlType.DOUBLE:
        return binder.nodes.make("remainder", common, left, right)
    lowest = INTEGER_BOUNDS[common][0]
    return binder.nodes.make("whole_remainder", common, left, right, value=lowest, may_be_null=True, raises="overflow")


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


def _of_doubles(binder: Binder, expression: exp.Expr) -> Node:
    operation, raises = _OF_DOUBLES[type(expression)]
    return binder.nodes.make(
        operation, SqlType.DOUBLE, *_doubles(binder, expression, _operands(expression)), raises=raises
    )


def _logarithm(binder: Binder, expression: exp.Log) -> Node:
    *bases, argument = _operands(expression)
    base = bases[0] if bases else None
    named: Any = base.this if isinstance(base, exp.Literal) else base
    if named not in _LOGARITHMS:
        raise Refusal(expression, "the base must be 2 or 10; divide two ln")
    return binder.nodes.make(
        _LOGARITHMS[named], SqlType.DOUBLE, *_doubles(binder, expression, [argument]), raises="domain"
    )


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
    node = _number(binder, expression)
    return binder.nodes.make("absolute", node.type, node, raises="overflow" if node.type in INTEGERS else "never")


def _sign(binder: Binder, expression: exp.Sign) -> Node:
    return binder.nodes.make("sign", SqlType.TINYINT, _number(binder, expression))


def _of_texts(binder: Binder, expression: exp.Expr) -> Node:
    operation, result = _OF_TEXTS[type(expression)]
    return binder.nodes.make(
        operation, result, *(_text(binder, expression, operand) for operand in _operands(expression))
    )


def _trim(binder: Binder, expression: exp.Trim) -> Node:
    if expression.expression or expression.args.get("position"):
        raise Refusal(expression, "only trim(text) is known")
    return binder.nodes.make("trim", SqlType.VARCHAR, _text(binder, expression, expression.this))


def _left(binder: Binder, expression: exp.Left) -> Node:
    count = binder.bind(expression.expression)
    if not (count.is_literal and isinstance(count.value, int) and count.value >= 0):
        raise Refusal(expression, "the number of characters must be written out")
    return binder.nodes.make("left", SqlType.VARCHAR, _text(binder, expression, expression.this), value=count.value)


def _date_difference(binder: Binder, expression: exp.DateDiff) -> Node:
    unit = str(expression.args["unit"].name).lower() if expression.args.get("unit") else None
    if unit not in _DIFFERENCES:
        raise Refusal(expression, f"the unit must be one of {', '.join(sorted(_DIFFERENCES))}: found {unit}")
    start, end = binder.bind(expression.expression), binder.bind(expression.this)
    for node in (start, end):
        if node.type not in TIMES:
            raise Refusal(expression, f"dates or timestamps are needed: found {node.type.value}")
    return binder.nodes.make(f"{unit}s_between", SqlType.BIGINT, start, end)


def _date_part(binder: Binder, expression: exp.Expr) -> Node:
    if isinstance(expression, exp.Extract):
        named, argument = expression.this.name.lower(), expression.expression
        part = _PART_NAMES.get(named, named)
    else:
        part, argument = _PARTS[type(expression)], expression.this
    if part not in _PARTS.values():
        raise Refusal(expression, f"the part must be one of {', '.join(sorted(set(_PARTS.values())))}: found {part}")
    node = binder.bind(argument)
    if node.type not in TIMES:
        raise Refusal(expression, f"a date or timestamp is needed: found {node.type.value}")
    return binder.nodes.make(f"part_{part}", SqlType.BIGINT, node)


def _operands(expression: exp.Expr) -> list[exp.Expr]:
    return [operand for operand in (expression.this, expression.expression) if operand is not None]


def _numbers(expression: exp.Expr, *nodes: Node) -> None:
    for node in nodes:
        if node.type not in NUMBERS:
            raise Refusal(expression, f"numbers are needed: found {node.type.value}; cast explicitly")


def _of_one_type(binder: Binder, expression: exp.Expr, left: Node, right: Node) -> tuple[SqlType, Node, Node]:
    """The type that DuckDB computes with, a double or the wider whole number, and the operands."""
    _numbers(expression, left, right)
    types = {left.type, right.type}
    if SqlType.DOUBLE in types:
        left, right = (cast_to(binder.nodes, expression, side, SqlType.DOUBLE) for side in (left, right))
        return SqlType.DOUBLE, left, right
    if SqlType.DECIMAL in types:
        raise Refusal(expression, "DuckDB computes it as DECIMAL; cast one side to double")
    return (SqlType.BIGINT if SqlType.BIGINT in types else SqlType.INTEGER), left, right


def _number(binder: Binder, expression: exp.Func) -> Node:
    node = binder.bind(expression.this)
    if node.type not in {*INTEGERS, SqlType.DOUBLE}:
        raise Refusal(expression, f"a number is needed: found {node.type.value}; cast it to double")
    return node


def _doubles(binder: Binder, expression: exp.Expr, operands: list[exp.Expr]) -> list[Node]:
    bound = [binder.bind(operand) for operand in operands]
    _numbers(expression, *bound)
    return [cast_to(binder.nodes, expression, node, SqlType.DOUBLE) for node in bound]


def _text(binder: Binder, expression: exp.Expr, argument: exp.Expr) -> Node:
    node = binder.bind(argument)
    if node.type is not SqlType.VARCHAR:
        raise Refusal(expression, f"text is needed: found {node.type.value}; cast it to varchar")
    return node


FUNCTIONS: dict[type[exp.Expr], Callable[[Binder, Any], Node]] = {
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    **dict.fromkeys(_OF_DOUBLES, _of_doubles),
    **dict.fromkeys(_OF_TEXTS, _of_texts),
    **dict.fromkeys((*_PARTS, exp.Extract), _date_part),
    exp.IntDiv: _whole_division,
    exp.Mod: _modulo,
    exp.Neg: _negative,
    exp.Log: _logarithm,
    exp.Floor: _floor_or_ceiling,
    exp.Ceil: _floor_or_ceiling,
    exp.Round: _round,
    exp.Abs: _absolute,
    exp.Sign: _sign,
    exp.Trim: _trim,
    exp.Left: _left,
    exp.DateDiff: _date_difference,
}
