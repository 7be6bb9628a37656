"""Compile row-level dbt SQL to a Python function: the same text makes the offline table and the online value.

:func:`compile_select` takes the one select that dbt compiled for ``ftr_application_vN``. The function's values equal
DuckDB's to the bit; SQL that cannot be proven equal is refused with an alternative. The proof: generated expressions in
``tests/unit/warehouse/features/test_expressions_against_duckdb.py``, and real rows at each promotion.

The row-level subset:

- one ``select`` of named columns from one relation (an import CTE may precede it); no ``*``, join, filter, grouping,
  window or subquery. A column may use an earlier column of the same select.
- input types boolean, integer, bigint, double, varchar, date, timestamp. A literal such as ``0.5`` is DECIMAL in
  DuckDB: together with a double it is a double; arithmetic of decimals and whole numbers alone is refused.
- ``+ - * /``, ``%``, ``//`` of whole numbers, unary minus; ``abs``, ``sign`` (inside a cast), ``round``, ``floor``,
  ``ceil``, ``ln``, ``log10`` (``log`` is the same in DuckDB), ``log2``, ``exp``, ``sqrt``, ``pow``, ``greatest``,
  ``least``.
- comparisons, ``is [not] distinct from``, ``between``, ``in`` of literals, ``is [not] null|true|false``, ``and``,
  ``or``, ``not``.
- ``case``, ``if``, ``coalesce``, ``nullif``; ``cast`` and ``try_cast`` among the types, but not from text.
- ``date_diff`` in years, quarters, months, days; ``extract`` and ``year()``, ``month()``, …; ``date - date``,
  ``date ± integer``; ``date '…'`` and ``timestamp '…'``.
- ``lower``, ``upper``, ``trim``, ``left``, ``length``, ``||``.

Nulls follow SQL's three-valued logic; doubles follow IEEE 754 as in DuckDB: ``1.0 / 0`` is infinity, NaN equals itself
and is the greatest number. Where DuckDB's query fails, the function raises ExpressionDomainError. It also raises where
DuckDB's optimiser drops the failing part (``ln(0) // 0``), where a whole number overflows in a side of ``and``, ``or``
or ``between`` that DuckDB skips, where DuckDB wraps a double round its integer type, and beyond the year 9999.
"""

from warehouse.features.expressions.compiled import CompiledSelect, check_select, compile_select
from warehouse.features.expressions.select_text import inputs_of_columns, relation_of
from warehouse.features.expressions.sql_types import SqlType, column_type

__all__ = [
    "CompiledSelect",
    "SqlType",
    "check_select",
    "column_type",
    "compile_select",
    "inputs_of_columns",
    "relation_of",
]
