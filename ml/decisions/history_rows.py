"""The rows that make a borrower's history, read from the SQL that dbt compiled for ``ftr_application_history``.

A lender with history columns of its own has such a model beside it. Known-at times, horizons and excluded outcomes come
from the compiled text, so another joined table or horizon needs no edit here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlglot
from sqlglot import exp

from warehouse.errors import ContractError
from warehouse.lake.feature_tables import HISTORY_MODEL
from warehouse.sql.quoting import literal

#: The relation of moments; every part of the model joins it with the rows known before them.
_POINTS = "points"


@dataclass(frozen=True)
class HistoryRows:
    """The rows of one table that count as history; ``counted_by``: inputs that hold their number.

    ``select``: all columns of the rows at :data:`_POINTS`; ``parts``: the queries that it reads, by name.
    """

    table: str
    counted_by: tuple[str, ...]
    select: str
    parts: Mapping[str, str]
    tables: tuple[str, ...]

    @property
    def entity(self) -> str:
        """The lender-neutral entity, such as ``statements``."""
        return re.sub("_versions$", "s", self.table.partition(".int_")[2])

    def sql(self, borrower_id: str, as_of: datetime, *, known_until: datetime | None = None, at: str = "") -> str:
        """SQL of a borrower's rows at a moment, in the versions known before it; ``at``: a snapshot clause.

        ``known_until``: where versions known after the moment count too, as in the online store.
        """
        moments = {"as_of": as_of, "known_until": known_until or as_of}
        point = ", ".join(f"timestamp {literal(each.isoformat(sep=' '))} as {name}" for name, each in moments.items())
        relations = {_POINTS: f"select {literal(borrower_id)} as borrower_id, {point}"}
        relations |= {table.partition(".")[2]: f"select * from {table}{at}" for table in self.tables}
        text = ", ".join(f"{name} as ({query})" for name, query in (relations | dict(self.parts)).items())
        return f"with {text} {self.select}"


def history_rows(manifest: Mapping[str, Any], *, model: str = HISTORY_MODEL) -> tuple[HistoryRows, ...]:
    """The tables that make history; raises ContractError if the manifest has no compiled text of it.

    The same if a part of the text does not join the moments with one relation.
    """
    text = next((node.get("compiled_code") for node in manifest["nodes"].values() if node["name"] == model), None)
    if not text:
        raise ContractError(f"dbt's manifest must hold the compiled SQL of {model}: found none")
    queries = {each.alias: each.this for each in sqlglot.parse_one(text, dialect="duckdb").find_all(exp.CTE)}
    return tuple(
        _history_rows(query, queries)
        for query in queries.values()
        if query.args.get("group") and _origin(query).alias_or_name == _POINTS
    )


def _history_rows(query: exp.Select, queries: Mapping[str, exp.Select]) -> HistoryRows:
    joins = query.args.get("joins") or []
    if len(joins) != 1:
        raise ContractError(
            f"a part of history must join {_POINTS} with one relation of rows, so that these can be shown: found "
            f"{len(joins)} joins in {query.sql(dialect='duckdb')[:80]}…; join the others in a part of their own"
        )
    (join,) = joins
    rows, conditions = join.this, set(join.args["on"].flatten())
    counted_by = [each.alias for each in query.expressions if _counts_all(each.unalias(), conditions)]
    parts = {name: queries[name] for name in _parts(rows, queries)}
    selected = exp.select(f"{rows.alias}.*").from_(_origin(query)).join(join.copy()).order_by(f"{rows.alias}.known_at")
    made_of = [selected, *parts.values()]
    tables = dict.fromkeys(_table(each) for part in made_of for each in part.find_all(exp.Table) if each.db)
    return HistoryRows(
        table=_table(rows) if rows.db else _table(_origin(parts[rows.name])),
        counted_by=tuple(counted_by),
        select=_unqualified(selected),
        parts={name: _unqualified(part) for name, part in parts.items()},
        tables=tuple(tables),
    )


def _counts_all(value: exp.Expression, conditions: set[exp.Expression]) -> bool:
    """Whether it counts every row of the join, or all that keep a condition common to all."""
    counted = value.this if isinstance(value, exp.Cast) else value
    if not isinstance(counted, exp.Count):
        return False
    if isinstance(counted.this, exp.Case):
        return all(case.this in conditions for case in counted.this.args["ifs"])
    return isinstance(counted.this, exp.Star)


def _parts(rows: exp.Table, queries: Mapping[str, exp.Select]) -> Iterator[str]:
    """The queries below a relation, dependencies first."""
    if not rows.db:
        for table in queries[rows.name].find_all(exp.Table):
            yield from _parts(table, queries)
        yield rows.name


def _origin(query: exp.Select) -> exp.Table:
    origin: exp.Table = (query.args.get("from_") or query.args["from"]).this
    return origin


def _table(table: exp.Table) -> str:
    return f"{table.db}.{table.name}"


def _unqualified(query: exp.Select) -> str:
    """The query with bare table names, as :meth:`HistoryRows.sql` defines them."""

    def bare(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Table) and node.db:
            return exp.table_(node.name, alias=node.alias or None)
        return node

    return query.copy().transform(bare).sql(dialect="duckdb", comments=False)
