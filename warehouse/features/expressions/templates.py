"""Python text of each operation, with ``{0}`` and ``{1}`` for its arguments and ``{v}`` for its own value."""

from warehouse.features.expressions.nodes import Node

#: Operations that are null when an argument is.
STRICT = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1} if {1} else divide_by_zero({0}, {1})",
    "remainder": "remainder({0}, {1})",
    "whole_quotient": "whole_quotient({0}, {1})",
    "whole_remainder": "whole_remainder({0}, {1}, {v})",
    "negate": "-{0}",
    "absolute": "abs({0})",
    "sign": "sign({0})",
    "ln": "log({0}) if {0} > 0.0 else outside_domain('ln', 'a positive number', {0})",
    "log2": "log2({0}) if {0} > 0.0 else outside_domain('log2', 'a positive number', {0})",
    "log10": "log10({0}) if {0} > 0.0 else outside_domain('log10', 'a positive number', {0})",
    "sqrt": "sqrt({0}) if {0} >= 0.0 else outside_domain('sqrt', 'a number that is not negative', {0})",
    "exp": "exponential({0})",
    "pow": "power({0}, {1})",
    "floor": "floor({0})",
    "ceiling": "ceiling({0})",
    "round": "round_half_away({0})",
    "round_to_digits": "round_to_digits({0}, {v!r})",
    "round_to_tens": "round_to_tens({0}, {v!r})",
    "same": "{0}",
    "to_double": "float({0})",
    "to_whole": "int({0})",
    "not_zero": "{0} != 0",
    "narrow": "narrow({0}, {v[0]}, {v[1]})",
    "try_narrow": "{0} if {v[0]} <= {0} <= {v[1]} else None",
    "double_to_integer": "double_to_integer({0}, {v[0]}, {v[1]})",
    "try_double_to_integer": "try_double_to_integer({0}, {v[0]}, {v[1]})",
    "lower": "lower({0})",
    "upper": "upper({0})",
    "trim": "trim({0})",
    "left": "{0}[:{v}]",
    "length": "len({0})",
    "concatenate": "{0} + {1}",
    "midnight": "midnight({0})",
    "day_of": "{0}.date()",
    "add_days": "add_days({0}, {1})",
    "subtract_days": "add_days({0}, -{1})",
    "days_between": "{1}.toordinal() - {0}.toordinal()",
    "months_between": "months_between({0}, {1})",
    "quarters_between": "quarters_between({0}, {1})",
    "years_between": "{1}.year - {0}.year",
    "part_year": "{0}.year",
    "part_quarter": "({0}.month + 2) // 3",
    "part_month": "{0}.month",
    "part_day": "{0}.day",
    "part_dow": "{0}.isoweekday() % 7",
    "part_isodow": "{0}.isoweekday()",
    "part_doy": "{0}.timetuple().tm_yday",
    "not": "not {0}",
}
#: ``cast(… as varchar)`` by source type.
TEXT_OF = {
    "BOOLEAN": "('true' if {0} else 'false')",
    "INTEGER": "str({0})",
    "BIGINT": "str({0})",
    "DATE": "{0}.isoformat()",
    "TIMESTAMP": "timestamp_text({0})",
}
#: Never null if neither side is.
COMPARISONS = {"equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal"}
#: Integer results are checked against the bounds of their type.
MAY_OVERFLOW = {"add", "subtract", "multiply", "negate", "absolute", "whole_quotient"}


def comparison(operation: str, args: tuple[Node, ...], atoms: list[str]) -> str:
    """DuckDB's total order: NaN equals NaN and is greater than every other number, including infinity."""
    (a, b), (a_nan, b_nan) = atoms, (args[0].may_be_nan, args[1].may_be_nan)
    match operation:
        case "equal":
            return _equal(a, b, a_nan and b_nan)
        case "not_equal":
            return f"not {_equal(a, b, True)}" if a_nan and b_nan else f"{a} != {b}"
        case "less":
            return less(a, b, a_nan, b_nan)
        case "greater":
            return less(b, a, b_nan, a_nan)
        case "less_or_equal":
            return _not_greater(a, b, a_nan, b_nan)
        case _:
            return _not_greater(b, a, b_nan, a_nan)


def _equal(a: str, b: str, nan: bool) -> str:
    return f"({a} == {b} or ({a} != {a} and {b} != {b}))" if nan else f"{a} == {b}"


def less(a: str, b: str, a_nan: bool, b_nan: bool) -> str:
    """``a < b``; the flags say which side may be NaN."""
    if not b_nan:
        return f"{a} < {b}"  # correctly false for NaN on the left
    return f"({a} < {b} or ({b} != {b} and {a} == {a}))" if a_nan else f"not {a} >= {b}"


def _not_greater(a: str, b: str, a_nan: bool, b_nan: bool) -> str:
    if not b_nan:
        return f"{a} <= {b}"
    return f"not {less(b, a, True, True)}" if a_nan else f"not {a} > {b}"
