"""Typed expressions → the source of one Python function.

Straight-line code with inline null checks: a row costs no call per operation. A shared expression is computed once, in
the innermost block that contains all its uses; a branch of a ``case`` only when it is taken, as in DuckDB.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from warehouse.errors import ExpressionError
from warehouse.features.expressions.nodes import Node
from warehouse.features.expressions.sql_types import INTEGER_BOUNDS, INTEGERS, PYTHON_TYPES, SqlType
from warehouse.features.expressions.templates import COMPARISONS, MAY_OVERFLOW, STRICT, TEXT_OF, comparison, less

FUNCTION = "features"
_DEEPEST = 90  # Python's tokenizer fails at 100 levels of indentation


@dataclass(frozen=True)
class PythonSource:
    """``text`` defines ``features(row)``; ``line_columns`` maps its lines to the column computed there."""

    text: str
    constants: Mapping[str, object]
    line_columns: tuple[str, ...]
    inputs: tuple[str, ...]


def write_function(columns: Mapping[str, Node]) -> PythonSource:
    """A function from a mapping of input values to a tuple of the columns' values, in order."""
    writer = _Writer()
    inputs = _inputs(columns.values())
    writer.load_inputs(inputs)
    results = []
    for name, node in columns.items():
        writer.column = name
        results.append(writer.value(node))
    writer.line(f"return ({', '.join(results)},)")
    names = tuple(str(node.value) for node in inputs)
    return PythonSource("\n".join(writer.lines), writer.constants, tuple(writer.line_columns), names)


def _inputs(nodes: Iterable[Node]) -> list[Node]:
    seen: dict[int, Node] = {}
    stack = list(nodes)[::-1]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(reversed(node.args))
    return [node for node in seen.values() if node.operation == "column"]


class _Writer:
    """Writes lines; tracks which expression each local variable holds in the open blocks."""

    def __init__(self) -> None:
        self.lines = [f"def {FUNCTION}(row):"]
        self.column = ""
        self.line_columns = [""]
        self.constants: dict[str, object] = {}
        self._known: list[dict[int, str]] = [{}]
        self._n_variables = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * len(self._known) + text)
        self.line_columns.append(self.column)

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        """An indented block; its variables are forgotten at the end, since it may not have run."""
        if len(self._known) >= _DEEPEST:
            raise ExpressionError(f"column {self.column}: its conditions are nested more than {_DEEPEST} deep")
        self.line(opening)
        self._known.append({})
        yield
        self._known.pop()

    def load_inputs(self, inputs: Iterable[Node]) -> None:
        for number, node in enumerate(inputs):
            name, variable = str(node.value), f"c{number}"
            self.line(f"{variable} = row[{name!r}]")
            wrong = f"{variable}.__class__ is not {PYTHON_TYPES[node.type].__name__}"
            if node.type in INTEGERS:
                low, high = INTEGER_BOUNDS[node.type]
                wrong = f"({wrong} or not {low} <= {variable} <= {high})"
            elif node.type is SqlType.TIMESTAMP:
                wrong = f"({wrong} or {variable}.tzinfo is not None)"
            self.line(f"if {variable} is not None and {wrong}:")
            self.line(f"    {variable} = checked_input({variable}, {name!r}, {node.type.value!r})")
            self._known[0][id(node)] = variable

    def value(self, node: Node) -> str:
        """A variable or literal with the node's value, computed by lines written before the current one."""
        if node.is_literal:
            return self._literal(node)
        for known in reversed(self._known):
            if id(node) in known:
                return known[id(node)]
        if node.operation in _COMPOUND:
            return _COMPOUND[node.operation](self, node)
        atoms = [self.value(arg) for arg in node.args]
        if node.operation in COMPARISONS:
            return self._assign_strict(node, atoms, comparison(node.operation, node.args, atoms))
        template = TEXT_OF[str(node.value)] if node.operation == "text" else STRICT[node.operation]
        if node.operation == "divide" and node.args[1].is_literal and node.args[1].value:
            template = "{0} / {1}"
        return self._assign_strict(node, atoms, template.format(*atoms, v=node.value))

    def condition(self, node: Node) -> str:
        """A Python expression that is truthy exactly when the node is true; null counts as false."""
        if node.operation in {"and", "or"} and not self._is_known(node):
            return "(" + f" {node.operation} ".join(self.condition(arg) for arg in node.args) + ")"
        if node.operation in COMPARISONS and not self._is_known(node):
            atoms = [self.value(arg) for arg in node.args]
            checks = [f"{atom} is not None" for atom in _nullable(node.args, atoms)]
            return "(" + " and ".join([*checks, comparison(node.operation, node.args, atoms)]) + ")"
        if node.operation == "is_null" and node.args[0].may_be_null and not node.args[0].is_literal:
            return f"({self.value(node.args[0])} is None)"
        if node.operation == "not" and not self._is_known(node):
            inner = node.args[0]
            if not inner.may_be_null:
                return f"(not {self.condition(inner)})"
        return self.value(node)

    def _is_known(self, node: Node) -> bool:
        return any(id(node) in known for known in self._known)

    def _name_later(self) -> str:
        self._n_variables += 1
        return f"v{self._n_variables}"

    def new_variable(self, node: Node) -> str:
        """A variable for the node, usable from the next line on in this block."""
        variable = self._known[-1][id(node)] = self._name_later()
        return variable

    def _literal(self, node: Node) -> str:
        value = node.value
        if isinstance(value, Decimal):
            value = float(value)
        if value is None or isinstance(value, bool | int | str):
            return f"({value!r})" if isinstance(value, int) and value < 0 else ascii(value)
        if isinstance(value, float) and abs(value) < float("inf"):
            return f"({value!r})" if value < 0 else repr(value)
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def _assign_strict(self, node: Node, atoms: list[str], expression: str) -> str:
        checks = [f"{atom} is None" for atom in _nullable(node.args, atoms)]
        variable = self.new_variable(node)
        if "None" in atoms:
            self.line(f"{variable} = None")
            return variable
        guarded = f"None if {' or '.join(checks)} else {expression}" if checks else expression
        self.line(f"{variable} = {guarded}")
        if node.type in INTEGERS and node.operation in MAY_OVERFLOW:
            low, high = INTEGER_BOUNDS[node.type]
            not_null = f"{variable} is not None and " if node.may_be_null else ""
            self.line(f"if {not_null}not {low} <= {variable} <= {high}:")
            self.line(f"    overflow({variable}, {node.type.value!r})")
        return variable

    def conjunction(self, node: Node) -> str:
        left, right = (self.value(arg) for arg in node.args)
        variable = self.new_variable(node)
        if node.operation == "and":
            text = f"{right} if {left} else (False if {left} is False or {right} is False else None)"
        else:
            text = f"True if {left} or {right} else (None if {left} is None or {right} is None else False)"
        if not node.may_be_null:
            text = f"{left} {node.operation} {right}"
        self.line(f"{variable} = {text}")
        return variable

    def null_test(self, node: Node) -> str:
        tested = node.args[0]
        if not tested.may_be_null or tested.is_literal:
            return str(tested.is_literal and tested.value is None)
        atom = self.value(tested)
        variable = self.new_variable(node)
        self.line(f"{variable} = {atom} is None")
        return variable

    def distinction(self, node: Node) -> str:
        atoms = [self.value(arg) for arg in node.args]
        differs = node.operation == "distinct"
        text = comparison("not_equal" if differs else "equal", node.args, atoms)
        can_be_null = _nullable(node.args, atoms)
        variable = self.new_variable(node)
        if can_be_null:
            nulls = " or ".join(f"{atom} is None" for atom in can_be_null)
            both_can_be = all(arg.may_be_null for arg in node.args)
            both_null = " and ".join(f"{atom} is None" for atom in can_be_null) if both_can_be else "False"
            text = f"{'not ' if differs else ''}({both_null}) if {nulls} else {text}"
        self.line(f"{variable} = {text}")
        return variable

    def membership(self, node: Node) -> str:
        members, has_null = cast("tuple[tuple[object, ...], bool]", node.value)
        atom = self.value(node.args[0])
        name = f"k{len(self.constants)}"
        self.constants[name] = frozenset(float(m) if isinstance(m, Decimal) else m for m in members)
        found = f"True if {atom} in {name} else None" if has_null else f"{atom} in {name}"
        variable = self.new_variable(node)
        guard = f"None if {atom} is None else " if node.args[0].may_be_null else ""
        self.line(f"{variable} = {guard}({found})")
        return variable

    def case(self, node: Node) -> str:
        n_conditions = cast("int", node.value)
        conditions, results = node.args[:n_conditions], node.args[n_conditions:]
        variable = self._name_later()
        with ExitStack() as opened:
            for number, (condition, result) in enumerate(zip(conditions, results, strict=False)):
                if number and self._is_inline(condition):
                    keyword = "elif"
                else:  # lines that compute the condition may run only if no earlier branch was taken
                    if number:
                        opened.enter_context(self.block("else:"))
                    keyword = "if"
                with self.block(f"{keyword} {self.condition(condition)}:"):
                    self.line(f"{variable} = {self.value(result)}")
            with self.block("else:"):
                self.line(f"{variable} = {self.value(results[-1])}")
        self._known[-1][id(node)] = variable
        return variable

    def _is_inline(self, node: Node) -> bool:
        """Whether :meth:`condition` needs no lines before it."""
        if node.is_literal or node.operation == "column" or self._is_known(node):
            return True
        if node.operation in {"and", "or"}:
            return all(self._is_inline(arg) for arg in node.args)
        if node.operation in COMPARISONS or node.operation == "is_null":
            return all(arg.is_literal or arg.operation == "column" or self._is_known(arg) for arg in node.args)
        return False

    def coalesce(self, node: Node) -> str:
        first, *rest = node.args
        atom = self.value(first)
        variable = self._name_later()
        self.line(f"{variable} = {atom}")
        with ExitStack() as opened:
            for alternative in rest:
                opened.enter_context(self.block(f"if {variable} is None:"))
                self.line(f"{variable} = {self.value(alternative)}")
        self._known[-1][id(node)] = variable
        return variable

    def extreme(self, node: Node) -> str:
        atoms = [self.value(arg) for arg in node.args]
        variable = self.new_variable(node)
        self.line(f"{variable} = {atoms[0]}")
        held_is_null, held_nan = node.args[0].may_be_null, node.args[0].may_be_nan
        for arg, atom in zip(node.args[1:], atoms[1:], strict=True):
            if node.operation == "greatest":
                better = less(variable, atom, held_nan, arg.may_be_nan)
            else:
                better = less(atom, variable, arg.may_be_nan, held_nan)
            better = f"{variable} is None or {better}" if held_is_null else better
            better = f"{atom} is not None and ({better})" if arg.may_be_null else better
            self.line(f"if {better}:")
            self.line(f"    {variable} = {atom}")
            held_is_null, held_nan = held_is_null and arg.may_be_null, held_nan or arg.may_be_nan
        return variable


def _nullable(args: Iterable[Node], atoms: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(atom for arg, atom in zip(args, atoms, strict=True) if arg.may_be_null))


_COMPOUND: dict[str, Callable[[_Writer, Node], str]] = {
    "and": _Writer.conjunction,
    "or": _Writer.conjunction,
    "is_null": _Writer.null_test,
    "distinct": _Writer.distinction,
    "not_distinct": _Writer.distinction,
    "in": _Writer.membership,
    "case": _Writer.case,
    "coalesce": _Writer.coalesce,
    "greatest": _Writer.extreme,
    "least": _Writer.extreme,
}
