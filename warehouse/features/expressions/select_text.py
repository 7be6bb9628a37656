"""One select over one relation: what a feature model's SQL may contain, and its columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from warehouse.errors import ExpressionError

#: Any other clause of a select makes it not row-level.
_ALLOWED_CLAUSES = {"kind", "expressions", "from_", "with_"}
_POWER_TOKENS = {TokenType.DSTAR, TokenType.CARET}


@dataclass(frozen=True)
class SelectColumn:
    """A column of the select: its name in the resulting table, and its expression."""

    name: str
    expression: exp.Expr


@dataclass(frozen=True)
class RowSelect:
    """A select of scalar expressions; ``relation``: the name that may qualify a column; ``table``: what it reads."""

    columns: tuple[SelectColumn, ...]
    relation: str
    table: exp.Table


def read_select(sql: str) -> RowSelect:
    """Parse one plain select over one relation, also behind dbt's import CTE; raises ExpressionError otherwise."""
    tree = _parse(sql)
    if not isinstance(tree, exp.Select):
        raise ExpressionError(
            f"a feature model must be one select over one relation: found {type(tree).__name__.lower()}"
        )
    imports = _imports(tree)
    _only_a_row_select(tree)
    table = _table(tree)
    if imports and table.name.lower() not in imports:
        raise ExpressionError(f"the select must be from its import CTE: found {table.name}")
    columns = tuple(_columns(tree))
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise ExpressionError(f"column {column.name} is selected twice; give each column a name of its own")
        seen.add(column.name.lower())
    return RowSelect(columns, table.alias_or_name.lower(), imports.get(table.name.lower(), table))


def inputs_of_columns(sql: str, inputs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each of the select's columns → the ``inputs`` that it uses, directly or through an earlier column.

    Raises ExpressionError as :func:`read_select` does.

    >>> inputs_of_columns("select a, rate / 2 as half, half + Debt as more from t", ["rate", "debt"])
    {'a': (), 'half': ('rate',), 'more': ('rate', 'debt')}
    """
    by_name: dict[str, dict[str, None]] = {name.lower(): {name: None} for name in inputs}
    found: dict[str, tuple[str, ...]] = {}
    for column in read_select(sql).columns:
        read: dict[str, None] = {}
        for named in column.expression.find_all(exp.Column):
            read |= by_name.get(named.name.lower(), {})
        found[column.name] = tuple(name for name in inputs if name in read)
        by_name.setdefault(column.name.lower(), read)  # an input of that name comes first, as in DuckDB
    return found


def relation_of(sql: str) -> tuple[str, ...]:
    """Name parts of the relation that the select reads, ``(catalog, schema, table)`` or fewer.

    Raises ExpressionError as :func:`read_select` does.

    >>> relation_of("with inputs as (select * from features.applications) select amount from inputs")
    ('features', 'applications')
    """
    return tuple(part.name for part in read_select(sql).table.parts)


def _parse(sql: str) -> exp.Expr:
    try:
        for token in sqlglot.tokenize(sql, dialect="duckdb"):
            if token.token_type in _POWER_TOKENS:
                raise ExpressionError(
                    f"line {token.line}: the operator {token.text} binds differently from engine to engine; "
                    "write pow(x, y)"
                )
        statements = sqlglot.parse(sql, dialect="duckdb")
    except SqlglotError as error:
        raise ExpressionError(f"the SQL of the feature model cannot be read: {error}") from error
    found = [statement for statement in statements if statement is not None]
    if len(found) != 1:
        raise ExpressionError(f"a feature model must be one select: found {len(found)} statements")
    return found[0]


def _only_a_row_select(select: exp.Select) -> None:
    extra = sorted(name.rstrip("_") for name, value in select.args.items() if value and name not in _ALLOWED_CLAUSES)
    if extra:
        raise ExpressionError(
            f"a feature model is one select of scalar expressions, a row in and a row out: found {', '.join(extra)}; "
            "join, filter and aggregate in the model it selects from"
        )


def _table(select: exp.Select) -> exp.Table:
    source = select.args.get("from_")
    table = source.this if source is not None else None
    if not isinstance(table, exp.Table) or table.args.get("joins") or not isinstance(table.this, exp.Identifier):
        raise ExpressionError("a feature model must select from one relation: found none, a subquery or a function")
    plain = {"this", "db", "catalog", "alias"}
    extra = sorted(name for name, value in table.args.items() if value and name not in plain)
    if table.args.get("alias") and table.args["alias"].args.get("columns"):
        extra.append("an alias that renames columns")
    if extra:
        raise ExpressionError(f"a feature model must select from a plain relation: found {', '.join(extra)}")
    return table


def _imports(select: exp.Select) -> dict[str, exp.Table]:
    """Name of each import CTE → its table."""
    with_, found = select.args.get("with_"), {}
    for cte in with_.expressions if with_ else ():
        body = cte.this
        if not isinstance(body, exp.Select) or len(body.expressions) != 1 or type(body.expressions[0]) is not exp.Star:
            raise ExpressionError(f"CTE {cte.alias}: only an import, `select * from relation`, may precede the select")
        if any(body.expressions[0].args.values()):
            raise ExpressionError(f"CTE {cte.alias}: a plain `select *` is needed, without except, replace or rename")
        _only_a_row_select(body)
        found[cte.alias.lower()] = _table(body)
    return found


def _columns(select: exp.Select) -> Iterator[SelectColumn]:
    for expression in select.expressions:
        inner = expression.this if isinstance(expression, exp.Alias) else expression
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            raise ExpressionError("a feature model must name its columns: found *")
        name = expression.alias_or_name
        if not name:
            raise ExpressionError(f"`{expression.sql(dialect='duckdb')}` has no name: add `as <feature>`")
        yield SelectColumn(name, inner)
