"""Typed expressions, between parsed SQL and Python source."""

from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from warehouse.features.expressions.sql_types import SqlType

#: Errors that evaluating an expression may raise: integer overflow, or a value outside a function's domain.
Raises = Literal["never", "overflow", "domain"]
_RANK: dict[Raises, int] = {"never": 0, "overflow": 1, "domain": 2}


class Refusal(Exception):
    """Why an expression cannot be compiled (``reason``: what is wrong; what to write instead)."""

    def __init__(self, expression: exp.Expr, reason: str) -> None:
        super().__init__(reason)
        self.expression = expression
        self.reason = reason


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One typed operation. Equal expressions are the same object (see :class:`Nodes`), so identity finds repeats.

    ``value``: a literal's value, a column's name or a bound. ``may_be_null``, ``may_be_nan``: False is guaranteed.
    """

    operation: str
    type: SqlType
    args: tuple["Node", ...]
    value: object
    may_be_null: bool
    may_be_nan: bool
    raises: Raises

    @property
    def is_literal(self) -> bool:
        """Whether its value is known at compile time."""
        return self.operation == "literal"


class Nodes:
    """Creates nodes, each distinct expression once, so that features share common expressions."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Node] = {}

    def column(self, name: str, sql_type: SqlType) -> Node:
        """A column of the input row."""
        return self.make("column", sql_type, value=name, may_be_null=True)

    def literal(self, value: object, sql_type: SqlType) -> Node:
        """A constant; ``None`` of a type is that type's null."""
        nan = isinstance(value, float) and value != value  # noqa: PLR0124 - NaN differs from itself
        return self.make("literal", sql_type, value=value, may_be_null=value is None, may_be_nan=nan)

    def make(
        self,
        operation: str,
        sql_type: SqlType,
        *args: Node,
        value: object = None,
        may_be_null: bool | None = None,
        may_be_nan: bool | None = None,
        raises: Raises = "never",
    ) -> Node:
        """A node; by default nullable when any argument is, and possibly NaN when it is a double."""
        key = (operation, sql_type, tuple(id(arg) for arg in args), type(value), repr(value))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Node(
                operation=operation,
                type=sql_type,
                args=args,
                value=value,
                may_be_null=any(arg.may_be_null for arg in args) if may_be_null is None else may_be_null,
                may_be_nan=sql_type is SqlType.DOUBLE if may_be_nan is None else may_be_nan,
                raises=max((raises, *(arg.raises for arg in args)), key=_RANK.__getitem__),
            )
        return known
