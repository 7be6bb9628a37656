"""What the compiler accepts and refuses, hand-computed values, and what its errors say."""

from datetime import date, datetime
from typing import Any

import pytest

from warehouse.errors import ContractError, ExpressionDomainError, ExpressionError
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract, compile_contract
from warehouse.features.expressions import check_select, compile_select

TYPES = {
    "x": "double",
    "y": "double",
    "n": "integer",
    "m": "bigint",
    "name": "varchar",
    "flag": "boolean",
    "opened_on": "date",
    "decided_at": "timestamp",
    "price": "decimal(9,2)",
}
EMPTY: dict[str, Any] = dict.fromkeys(TYPES)


def value_of(expression: str, **row: Any) -> Any:
    compiled = compile_select(f"select {expression} as feature from inputs", types=TYPES)
    return compiled({**EMPTY, **row})[0]


def refusal_of(expression: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        compile_select(f"select {expression} as feature from inputs", types=TYPES)
    return str(caught.value)


@pytest.mark.parametrize(
    ("expression", "row", "expected"),
    [
        ("x / nullif(y, 0)", {"x": 1.0, "y": 4.0}, 0.25),
        ("x / nullif(y, 0)", {"x": 1.0, "y": 0.0}, None),
        ("x / y", {"x": -1.0, "y": 0.0}, float("-inf")),
        ("n / 2", {"n": 3}, 1.5),
        ("n // 2", {"n": -3}, -1),
        ("n % 2", {"n": -3}, -1),
        ("coalesce(n, 0) + 1", {}, 1),
        ("greatest(n, 3)", {"n": None}, 3),
        ("round(x)", {"x": -2.5}, -3.0),
        ("round(x, 2)", {"x": 2.675}, 2.68),
        ("cast(x as integer)", {"x": 2.5}, 2),
        ("case when x > 1 then 'high' when x <= 1 then 'low' end", {"x": None}, None),
        ("x > 1 or flag", {"x": None, "flag": True}, True),
        ("x > 1 and flag", {"x": None, "flag": True}, None),
        ("name in ('car', 'house')", {"name": "car"}, True),
        ("name not in ('car', null)", {"name": "house"}, None),
        (
            "date_diff('month', opened_on, decided_at)",
            {"opened_on": date(2024, 1, 31), "decided_at": datetime(2024, 2, 1)},
            1,
        ),
        ("lower(trim(name))", {"name": " Car "}, "car"),
        ("x is distinct from y", {}, False),
    ],
)
def test_values_follow_sql(expression: str, row: dict[str, Any], expected: Any) -> None:
    assert value_of(expression, **row) == expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("sum(x)", "the function sum is not in the row-level subset"),
        ("x ** 2", "line 1: the operator ** binds differently from engine to engine; write pow(x, y)"),
        ("row_number() over (order by x)", "a window expression is not in the row-level subset"),
        ("(select 1)", "a subquery expression is not in the row-level subset"),
        ("reverse(name)", "the function reverse is not in the row-level subset"),
        ("0.5 * n", "DuckDB computes it as DECIMAL; cast one side to double"),
        ("case when flag then 0.5 else n end", "cast the whole number to double"),
        ("case when flag then 1 else name end", "it mixes INTEGER and VARCHAR"),
        ("case when n then 1 end", "a condition must be boolean: found INTEGER"),
        ("x = null", "write `is null`"),
        ("name > 1", "it mixes INTEGER and VARCHAR"),
        ("opened_on > '2024-01-01'", "it mixes DATE and VARCHAR"),
        ("cast(name as double)", "a cast from VARCHAR to DOUBLE is not proven equal; type it in staging"),
        ("cast(x as varchar)", "a cast from DOUBLE to VARCHAR is not proven equal"),
        ("cast(x as decimal(9, 2))", "a cast must be to boolean, integer, bigint"),
        ("flag and ln(x) > 0", "it may raise, and whether DuckDB reaches it is not defined; nest two cases"),
        ("x between 0 and ln(y)", "whether DuckDB reaches it is not defined"),
        ("price", "its type is decimal(9,2)"),
        ("incom", "there is no such column"),
        ("nam", "did you mean name?"),
        ("other.x", "the select reads inputs only"),
        ("x // 2", "write floor(x / y)"),
        ("sign(x)", "its type is TINYINT; write cast(… as integer)"),
        ("null", "a bare null has no type"),
        ("0.5", "its type is DECIMAL"),
        ("date_diff('week', opened_on, decided_at)", "the unit must be one of day, month, quarter, year: found week"),
        ("x in (y, 1)", "a list may hold literals only"),
        ("current_date", "is not in the row-level subset"),
        ("random()", "is not in the row-level subset"),
        ("12345678.12345678", "it has more than 15 digits"),
    ],
)
def test_what_cannot_be_proven_equal_is_refused_with_a_mend(expression: str, reason: str) -> None:
    assert reason in refusal_of(expression)


def test_a_refusal_names_the_column_and_the_expression() -> None:
    assert refusal_of("1 + reverse(name)").startswith("column feature: `reverse(name)` cannot be computed equally")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select x from inputs where x > 1", "found where; join, filter and aggregate in the model it selects from"),
        ("select inputs.x from inputs join other using (x)", "found joins"),
        ("select x from inputs, other", "found joins"),
        ("select x from inputs group by x", "found group"),
        ("select distinct x from inputs", "found distinct"),
        ("select x from inputs limit 1", "found limit"),
        ("select x from inputs order by x", "found order"),
        ("select x from inputs union all select x from inputs", "one select over one relation: found union"),
        ("select * from inputs", "must name its columns: found *"),
        ("select * exclude (x) from inputs", "must name its columns"),
        ("select x from (select 1e0 as x)", "must select from one relation"),
        ("select 1", "must select from one relation"),
        ("select x from inputs tablesample 10%", "from a plain relation: found sample"),
        ("select x + 1 from inputs", "has no name: add `as <feature>`"),
        ("select x, y as X from inputs", "column X is selected twice"),
        ("with a as (select x from t) select x from a", "only an import"),
        ("with a as (select * from t where x > 1) select x from a", "found where"),
        ("with a as (select * from t) select x from b", "must be from its import CTE: found b"),
        ("select x from inputs; select y from inputs", "found 2 statements"),
        ("selec x", "cannot be read|one select"),
        ("delete from inputs", "one select over one relation: found delete"),
    ],
)
def test_anything_but_one_plain_select_is_refused(sql: str, reason: str) -> None:
    (message,) = check_select(sql, types=TYPES)

    assert any(part in message for part in reason.split("|"))


def test_every_refused_column_is_reported() -> None:
    messages = check_select("select reverse(name) as a, x as b, sum(x) as c from inputs", types=TYPES)

    assert [message.split(":")[0] for message in messages] == ["column a", "column c"]


def test_dbts_import_cte_and_quoted_names_are_read() -> None:
    sql = 'with source as (select * from "lake"."features"."inputs") select source.x * 2 as doubled from source'

    assert compile_select(sql, types=TYPES)({"x": 1.5}) == (3.0,)


def test_a_column_may_use_an_earlier_one() -> None:
    compiled = compile_select("select x + 1 as one_more, one_more * 2 as twice from inputs", types=TYPES)

    assert compiled({"x": 1.0}) == (2.0, 4.0)


def test_the_relations_own_column_comes_before_an_earlier_alias() -> None:
    """DuckDB's rule: in `x * 2` below, x is the input, although an earlier column is called x too."""
    compiled = compile_select("select x + 1 as x, x * 2 as twice from inputs", types=TYPES)

    assert compiled({"x": 1.0}) == (2.0, 2.0)


def test_what_a_branch_guards_is_not_computed_outside_it() -> None:
    compiled = compile_select(
        "select case when x > 0 then ln(x) end as guarded, case when x > 0 then ln(x) else 0 end as again from inputs",
        types=TYPES,
    )

    assert compiled({"x": -1.0}) == (None, 0.0)


def test_a_value_outside_a_functions_domain_names_the_column() -> None:
    compiled = compile_select("select x as kept, 1 + ln(x) as log_x from inputs", types=TYPES)

    with pytest.raises(ExpressionDomainError, match=r"column log_x: ln needs a positive number: found 0\.0"):
        compiled({"x": 0.0})


def test_an_integer_overflow_is_an_error_as_in_duckdb() -> None:
    with pytest.raises(ExpressionDomainError, match="column feature: the result 2147483648 does not fit INTEGER"):
        value_of("n + 1", n=2**31 - 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n", True, "input n must be int for INTEGER"),
        ("n", 2**31, "input n must fit INTEGER"),
        ("n", 1.0, "input n must be int"),
        ("x", "1", "input x must be float for DOUBLE"),
        ("opened_on", datetime(2024, 1, 1), "input opened_on must be date"),
        ("decided_at", datetime.fromisoformat("2024-01-01T00:00:00+00:00"), "without a time zone"),
    ],
)
def test_a_value_of_another_type_is_an_error(name: str, value: Any, message: str) -> None:
    """A silent conversion would compute something that DuckDB did not."""
    with pytest.raises(ExpressionDomainError, match=message):
        value_of(name, **{name: value})


def test_a_whole_number_is_taken_for_a_double() -> None:
    result = value_of("x", x=3)

    assert (result, type(result)) == (3.0, float)


def test_a_missing_input_is_an_error() -> None:
    compiled = compile_select("select x from inputs", types=TYPES)

    with pytest.raises(ExpressionDomainError, match="input x is not in the row"):
        compiled({})


def test_only_the_inputs_that_are_read_are_needed() -> None:
    assert compile_select("select x + y as s, x as t from inputs", types=TYPES).inputs == ("x", "y")


def test_a_long_case_is_one_level_deep() -> None:
    """Python refuses code indented a hundred levels, and lender grades have dozens of branches."""
    branches = " ".join(f"when '{number}' then {number}" for number in range(300))

    assert value_of(f"case name {branches} end", name="299") == 299


def test_deeply_nested_cases_are_refused_with_the_columns_name() -> None:
    nested = "0"
    for number in range(120):
        nested = f"case when n = {number} then {number} else abs({nested}) end"

    assert "column feature: its conditions are nested more than" in refusal_of(nested)


CONTRACT = FeatureContract(
    version="v1",
    inputs=(InputColumn("x", "double", "X.", "request"), InputColumn("n", "integer", "N.", "history")),
    features=(
        FeatureColumn("twice", "double", "Twice x.", "numeric", range=(0, 1), reason="r"),
        FeatureColumn("n_more", "integer", "One more.", "numeric", range=(0, 1), reason="r"),
    ),
    sql="select 'key' as application_id, n + 1 as n_more, x * 2 as twice from inputs",
)


def test_a_contract_compiles_to_its_features_in_table_order() -> None:
    compiled = compile_contract(CONTRACT)

    assert compiled.columns == ("twice", "n_more")
    assert compiled({"x": 1.5, "n": None}) == (3.0, None)


def test_a_feature_of_another_type_than_declared_is_a_contradiction() -> None:
    contract = FeatureContract("v1", CONTRACT.inputs, (CONTRACT.features[0],), "select n as twice from inputs")

    with pytest.raises(ContractError, match="feature twice is declared double, but its SQL computes integer"):
        compile_contract(contract)


def test_a_feature_that_the_sql_lacks_is_an_error() -> None:
    contract = FeatureContract("v1", CONTRACT.inputs, CONTRACT.features, "select x * 2 as twice from inputs")

    with pytest.raises(ExpressionError, match="the select has no column n_more: it has twice"):
        compile_contract(contract)
