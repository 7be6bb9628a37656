"""From parsed SQL to typed nodes with explicit casts; refuses all but :data:`_BINDERS` and ``functions.FUNCTIONS``."""

import difflib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sqlglot import exp

from warehouse.errors import ExpressionError
from warehouse.features.expressions.casts import MOST_DIGITS, cast_to, literal_time, unify
from warehouse.features.expressions.functions import FUNCTIONS
from warehouse.features.expressions.nodes import Node, Nodes, Refusal
from warehouse.features.expressions.select_text import RowSelect, SelectColumn
from warehouse.features.expressions.sql_types import NUMBERS, SqlType, column_type

_READABLE_TYPES = "boolean, integer, bigint, double, varchar, date or timestamp"
_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "equal",
    exp.NEQ: "not_equal",
    exp.LT: "less",
    exp.LTE: "less_or_equal",
    exp.GT: "greater",
    exp.GTE: "greater_or_equal",
    exp.NullSafeEQ: "not_distinct",
    exp.NullSafeNEQ: "distinct",
}
_ONE_OF: dict[type[exp.Expr], str] = {exp.Coalesce: "coalesce", exp.Greatest: "greatest", exp.Least: "least"}


def bind_select(select: RowSelect, types: Mapping[str, str]) -> tuple[dict[str, Node], list[ExpressionError]]:
    """The typed expression of every column that can be compiled, and one error for each other column.

    ``types``: column of the relation → DuckDB type. Earlier columns of the select may be used by name unless the
    relation has a column of that name (DuckDB's rule).
    """
    binder = _Binder(select.relation, types)
    bound: dict[str, Node] = {}
    errors: list[ExpressionError] = []
    for column in select.columns:
        try:
            bound[column.name] = binder.bind_column(column)
        except Refusal as refusal:
            text = refusal.expression.sql(dialect="duckdb", normalize_functions="lower")
            errors.append(
                ExpressionError(
                    f"column {column.name}: `{text}` cannot be computed equally outside DuckDB: {refusal.reason}"
                )
            )
            binder.refused.add(column.name.lower())
    return bound, errors


class _Binder:
    """Binds the columns of one select, left to right."""

    def __init__(self, relation: str, types: Mapping[str, str]) -> None:
        self.nodes = Nodes()
        self.refused: set[str] = set()
        self._relation = relation
        self._types = {name.lower(): (name, declared) for name, declared in types.items()}
        self._earlier: dict[str, Node] = {}

    def bind_column(self, column: SelectColumn) -> Node:
        node = self.bind(column.expression)
        if node.type is SqlType.NULL:
            raise Refusal(column.expression, "a bare null has no type; write cast(null as double)")
        if node.type is SqlType.DECIMAL:
            raise Refusal(column.expression, "its type is DECIMAL; write cast(… as double)")
        if node.type is SqlType.TINYINT:
            raise Refusal(column.expression, "its type is TINYINT; write cast(… as integer)")
        self._earlier.setdefault(column.name.lower(), node)
        return node

    def bind(self, expression: exp.Expr) -> Node:
        """The node of one expression; raises Refusal if it is not on the whitelist."""
        binder = _BINDERS.get(type(expression)) or FUNCTIONS.get(type(expression))
        if binder is not None:
            return binder(self, expression)
        raise Refusal(
            expression, f"{_spoken(expression)} is not in the row-level subset; see warehouse.features.expressions"
        )

    def column(self, expression: exp.Column) -> Node:
        qualifier, name = expression.table.lower(), expression.name.lower()
        if expression.args.get("db") or qualifier not in ("", self._relation):
            raise Refusal(expression, f"the select reads {self._relation} only")
        if name in self._types:
            given, declared = self._types[name]
            sql_type = column_type(declared)
            if sql_type is None:
                raise Refusal(expression, f"its type is {declared}; make it {_READABLE_TYPES} where it is built")
            return self.nodes.column(given, sql_type)
        if not qualifier and name in self._earlier:
            return self._earlier[name]
        if not qualifier and name in self.refused:
            raise Refusal(expression, f"column {expression.name} is refused itself")
        near = difflib.get_close_matches(name, [*self._types, *self._earlier], n=1)
        raise Refusal(expression, "there is no such column" + (f"; did you mean {near[0]}?" if near else ""))

    def literal(self, expression: exp.Literal) -> Node:
        text = str(expression.this)
        if expression.is_string:
            return self.nodes.literal(text, SqlType.VARCHAR)
        if "e" in text.lower():
            if float(text) == float("inf"):
                raise Refusal(expression, "the number is beyond the greatest double; write cast('inf' as double)")
            return self.nodes.literal(float(text), SqlType.DOUBLE)
        if "." in text:
            if len(text.replace(".", "").lstrip("0")) > MOST_DIGITS:
                raise Refusal(expression, f"it has more than {MOST_DIGITS} digits; write it with an exponent (…e0)")
            return self.nodes.literal(Decimal(text), SqlType.DECIMAL)
        value = int(text)
        if value >= 2**63:
            raise Refusal(expression, "the number does not fit BIGINT; write it with an exponent (…e0)")
        return self.nodes.literal(value, SqlType.INTEGER if value < 2**31 else SqlType.BIGINT)

    def boolean(self, expression: exp.Boolean) -> Node:
        return self.nodes.literal(bool(expression.this), SqlType.BOOLEAN)

    def both(self, expression: exp.Connector) -> Node:
        operation = "and" if isinstance(expression, exp.And) else "or"
        sides = (expression.this, expression.expression)
        args = [self.truth_value(side) for side in sides]
        for side, arg in zip(sides, args, strict=True):
            _always_reached(side, arg)
        return self.nodes.make(operation, SqlType.BOOLEAN, *args)

    def negation(self, expression: exp.Not) -> Node:
        return self.nodes.make("not", SqlType.BOOLEAN, self.truth_value(expression.this))

    def truth_value(self, expression: exp.Expr) -> Node:
        """A node that must be boolean: only DuckDB casts numbers to booleans implicitly."""
        node = self.bind(expression)
        if node.type is not SqlType.BOOLEAN:
            raise Refusal(expression, f"a condition must be boolean: found {node.type.value}; write a comparison")
        return node

    def comparison(self, expression: exp.Binary) -> Node:
        operation = _COMPARISONS[type(expression)]
        return self.compare(expression, operation, self.bind(expression.this), self.bind(expression.expression))

    def compare(self, expression: exp.Expr, operation: str, left: Node, right: Node) -> Node:
        """A comparison after DuckDB's casts; raises Refusal for types that need an explicit cast."""
        left, right = _comparable(self.nodes, expression, left, right)
        never_null = False if operation in {"distinct", "not_distinct"} else None
        return self.nodes.make(operation, SqlType.BOOLEAN, left, right, may_be_null=never_null)

    def is_test(self, expression: exp.Is) -> Node:
        node, tested = self.bind(expression.this), expression.expression
        if isinstance(tested, exp.Null):
            return self.nodes.make("is_null", SqlType.BOOLEAN, node, may_be_null=False)
        if isinstance(tested, exp.Boolean) and node.type is SqlType.BOOLEAN:
            return self.compare(expression, "not_distinct", node, self.boolean(tested))
        raise Refusal(expression, "only `is [not] null`, and `is [not] true|false` of a boolean, are known")

    def between(self, expression: exp.Between) -> Node:
        if expression.args.get("symmetric"):
            raise Refusal(expression, "between symmetric is not portable")
        node = self.bind(expression.this)
        low, high = self.bind(expression.args["low"]), self.bind(expression.args["high"])
        for bound, text in ((low, expression.args["low"]), (high, expression.args["high"])):
            _always_reached(text, bound)
        low = self.compare(expression, "greater_or_equal", node, low)
        high = self.compare(expression, "less_or_equal", node, high)
        return self.nodes.make("and", SqlType.BOOLEAN, low, high)

    def membership(self, expression: exp.In) -> Node:
        if not expression.expressions:
            raise Refusal(expression, "a list of literals is needed")
        node, members = self.bind(expression.this), [self.bind(member) for member in expression.expressions]
        values = []
        for member, text in zip(members, expression.expressions, strict=True):
            if not member.is_literal or member.may_be_nan:
                raise Refusal(text, "a list may hold literals only; compare with `=` and `or`")
            if member.type is not SqlType.NULL:
                _comparable(self.nodes, expression, node, member)
                values.append(member)
        if any(member.type is SqlType.DOUBLE for member in values) and node.type is not SqlType.DOUBLE:
            node = cast_to(self.nodes, expression, node, SqlType.DOUBLE)
        has_null = len(values) < len(members)
        return self.nodes.make(
            "in",
            SqlType.BOOLEAN,
            node,
            value=(tuple(member.value for member in values), has_null),
            may_be_null=node.may_be_null or has_null,
        )

    def choice(self, expression: exp.Case | exp.If) -> Node:
        is_case = isinstance(expression, exp.Case)
        branches = expression.args["ifs"] if is_case else [expression]
        subject = self.bind(expression.this) if is_case and expression.this else None
        conditions = [
            self.truth_value(branch.this)
            if subject is None
            else self.compare(branch, "equal", subject, self.bind(branch.this))
            for branch in branches
        ]
        otherwise = expression.args.get("default" if is_case else "false") or exp.Null()
        results = [self.bind(result) for result in (*(branch.args["true"] for branch in branches), otherwise)]
        results = unify(self.nodes, expression, results)
        return self.nodes.make(
            "case",
            results[0].type,
            *conditions,
            *results,
            value=len(conditions),
            may_be_null=any(result.may_be_null for result in results),
            may_be_nan=any(result.may_be_nan for result in results),
        )

    def null_if(self, expression: exp.Nullif) -> Node:
        node = self.bind(expression.this)
        if node.type is SqlType.NULL:
            raise Refusal(expression, "it is always null")
        condition = self.compare(expression, "equal", node, self.bind(expression.expression))
        nothing = self.nodes.literal(None, node.type)
        return self.nodes.make("case", node.type, condition, nothing, node, value=1, may_be_null=True)

    def one_of(self, expression: exp.Coalesce | exp.Greatest | exp.Least) -> Node:
        """Null only if all arguments are."""
        args = [self.bind(arg) for arg in (expression.this, *expression.expressions)]
        args = unify(self.nodes, expression, args)
        return self.nodes.make(
            _ONE_OF[type(expression)],
            args[0].type,
            *args,
            may_be_null=all(arg.may_be_null for arg in args),
            may_be_nan=any(arg.may_be_nan for arg in args),
        )

    def cast(self, expression: exp.Cast) -> Node:
        target = column_type(expression.to.sql(dialect="duckdb"))
        if target is None:
            raise Refusal(expression, f"a cast must be to {_READABLE_TYPES}")
        node = self.bind(expression.this)
        if node.is_literal and node.type is SqlType.VARCHAR and target is not SqlType.VARCHAR:
            return literal_time(self.nodes, expression, str(node.value), target)
        return cast_to(self.nodes, expression, node, target, lenient=isinstance(expression, exp.TryCast))


def _always_reached(expression: exp.Expr, node: Node) -> None:
    """Refuse an operand that may raise: DuckDB reorders `and` and `or` at run time and may not evaluate it."""
    if node.raises == "domain":
        raise Refusal(expression, "it may raise, and whether DuckDB reaches it is not defined; nest two cases")


def _comparable(nodes: Nodes, expression: exp.Expr, left: Node, right: Node) -> tuple[Node, Node]:
    if SqlType.NULL in (left.type, right.type):
        raise Refusal(expression, "a comparison with null is always null; write `is null`")
    if left.type in NUMBERS and right.type in NUMBERS:
        # DuckDB and Python both compare an integer and a decimal literal exactly
        if SqlType.DOUBLE in (left.type, right.type):
            left, right = (cast_to(nodes, expression, side, SqlType.DOUBLE) for side in (left, right))
        return left, right
    left, right = unify(nodes, expression, [left, right])
    return left, right


def _spoken(expression: exp.Expr) -> str:
    if isinstance(expression, exp.Anonymous):
        return f"the function {expression.name}"
    if isinstance(expression, exp.Func):
        return f"the function {expression.sql_name().lower()}"
    return f"a {type(expression).__name__.lower()} expression"


_BINDERS: dict[type[exp.Expr], Callable[[_Binder, Any], Node]] = {
    **dict.fromkeys(_COMPARISONS, _Binder.comparison),
    **dict.fromkeys(_ONE_OF, _Binder.one_of),
    exp.Column: _Binder.column,
    exp.Literal: _Binder.literal,
    exp.Boolean: _Binder.boolean,
    exp.Null: lambda binder, _: binder.nodes.literal(None, SqlType.NULL),
    exp.Paren: lambda binder, expression: binder.bind(expression.this),
    exp.And: _Binder.both,
    exp.Or: _Binder.both,
    exp.Not: _Binder.negation,
    exp.Is: _Binder.is_test,
    exp.Between: _Binder.between,
    exp.In: _Binder.membership,
    exp.Case: _Binder.choice,
    exp.If: _Binder.choice,
    exp.Nullif: _Binder.null_if,
    exp.Cast: _Binder.cast,
    exp.TryCast: _Binder.cast,
}
