"""Check a feature table against its contract: Pandera checks rows in chunks of bounded memory, SQL unique keys."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warehouse.errors import ContractError
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import current_snapshot
from warehouse.lake.tables import program_tables

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from pandera.pandas import DataFrameSchema

#: The columns that identify a feature row, in table order, and their DuckDB types. None may be missing.
KEYS = {"application_id": "VARCHAR", "borrower_id": "VARCHAR", "source": "VARCHAR", "decided_at": "TIMESTAMP"}
MOST_EXAMPLES = 5
_CHUNK_ROWS = 250_000
# nullable types: a NaN in the lake stays NaN, which no range admits, and does not become a missing value
_PANDAS_TYPES = {
    "double": "Float64",
    "float": "Float32",
    "bigint": "Int64",
    "integer": "Int32",
    "smallint": "Int16",
    "boolean": "boolean",
    "varchar": "string",
}


@dataclass
class Violation:
    """One violated rule of one column; ``examples`` are application ids."""

    column_name: str
    rule: str
    n_failed: int = 0
    examples: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class CheckResult:
    """The result of checking one version of the feature table in one lake snapshot."""

    table_name: str
    feature_version: str
    lake_snapshot: int
    n_rows: int
    violations: tuple[Violation, ...]

    @property
    def passed(self) -> bool:
        """Whether all rows satisfy all rules."""
        return not self.violations

    def __str__(self) -> str:
        if self.passed:
            return f"{self.table_name}: {self.n_rows:,} rows keep the contract"
        broken = "; ".join(
            f"{violation.column_name}: {violation.rule} broken in {violation.n_failed:,} of {self.n_rows:,} rows "
            f"(application_id {', '.join(str(example) for example in violation.examples)})"
            for violation in self.violations
        )
        return f"{self.table_name} breaks its contract: {broken}"


_UNMENDED = "table_name = $2 and mended_at is null"


def feature_schema(contract: FeatureContract) -> "DataFrameSchema":
    """The Pandera schema of the contract's feature table: keys, types, ranges and allowed values."""
    import pandera.pandas as pa

    keys = {name: pa.Column(nullable=False) for name in KEYS}
    features = {
        feature.name: pa.Column(_PANDAS_TYPES[feature.data_type], checks=_checks(feature), nullable=True)
        for feature in contract.features
    }
    return pa.DataFrameSchema({**keys, **features})


def check_features(
    con: "duckdb.DuckDBPyConnection", contract: FeatureContract, *, table: str | None = None
) -> CheckResult:
    """Check all rows of the contract's table.

    Raises ContractError for a missing column or a wrong column type, in this table or in that of the inputs.
    """
    table = table or contract.tables.features_table
    snapshot = current_snapshot(con)
    rows = f"{table} at (version => {snapshot})"
    _same_columns(con, table, rows, {**KEYS, **_types(contract.features)})
    inputs = contract.tables.inputs_table
    _same_columns(con, inputs, f"{inputs} at (version => {snapshot})", _types(contract.inputs))

    schema, found, n_rows = feature_schema(contract), _Found(), 0
    for frame in _chunks(con, contract, rows):
        n_rows += len(frame)
        _check_chunk(schema, frame, found)
    _check_unique(con, rows, found)
    return CheckResult(table, contract.version, snapshot, n_rows, tuple(found.values()))


def record_violations(con: "duckdb.DuckDBPyConnection", result: CheckResult) -> None:
    """Add the violations to ``monitoring.contract_violations``, and mark those that are no more; a writer's ``con``."""
    checked_at = datetime.now(UTC).replace(tzinfo=None)
    columns = program_tables()["monitoring.contract_violations"]
    names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
    found = [f"{violation.column_name}: {violation.rule}" for violation in result.violations]
    con.execute(
        "update monitoring.contract_violations set mended_at = $1 "
        f"where {_UNMENDED} and not list_contains($3::varchar[], column_name || ': ' || rule)",
        [checked_at, result.table_name, found],
    )
    for violation in result.violations:
        con.execute(
            f"insert into monitoring.contract_violations ({names}) values ({marks})",
            [
                result.table_name,
                result.feature_version,
                result.lake_snapshot,
                violation.column_name,
                violation.rule,
                violation.n_failed,
                result.n_rows,
                json.dumps(violation.examples),
                checked_at,
                None,
            ],
        )


def is_broken_on_record(con: "duckdb.DuckDBPyConnection", table_name: str) -> bool:
    """Whether an earlier check found violations in the table that no later check has found to be gone."""
    row = con.execute(
        f"select count(*) from monitoring.contract_violations where {_UNMENDED.replace('$2', '$1')}", [table_name]
    ).fetchone()
    return bool(row is not None and row[0] > 0)


class _Found(dict[tuple[str, str], Violation]):
    def add(self, column: str, rule: str, n_failed: int, examples: list[str | None]) -> None:
        violation = self.setdefault((column, rule), Violation(column, rule))
        violation.n_failed += n_failed
        violation.examples.extend(examples[: MOST_EXAMPLES - len(violation.examples)])


def _checks(feature: FeatureColumn) -> list[Any]:
    import pandera.pandas as pa

    checks = []
    if feature.range is not None:
        low, high = feature.range
        checks.append(pa.Check.in_range(low, high, error=f"within [{low:g}, {high:g}]"))
    if feature.values is not None:
        checks.append(pa.Check.isin(feature.values, error="one of the allowed values"))
    return checks


def _types(columns: Iterable[FeatureColumn | InputColumn]) -> dict[str, str]:
    return {column.name: column.data_type.upper() for column in columns}


def _same_columns(con: "duckdb.DuckDBPyConnection", table: str, rows: str, required: Mapping[str, str]) -> None:
    found = {row[0]: row[1] for row in con.execute(f"describe select * from {rows}").fetchall()}
    wrong = [
        f"{name} {kind} (found {found.get(name, 'none')})" for name, kind in required.items() if found.get(name) != kind
    ]
    if wrong:
        raise ContractError(f"{table} must have the columns of its contract: {', '.join(wrong)}; run `dbt build` again")


def _chunks(con: "duckdb.DuckDBPyConnection", contract: FeatureContract, rows: str) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    columns = ", ".join([*KEYS, *contract.feature_names])
    reader = con.execute(f"select {columns} from {rows}").to_arrow_reader(_CHUNK_ROWS)
    types = {
        reader.schema.field(feature.name).type: pd.api.types.pandas_dtype(_PANDAS_TYPES[feature.data_type])
        for feature in contract.features
    }
    for batch in reader:
        yield batch.to_pandas(types_mapper=types.get)


def _check_chunk(schema: "DataFrameSchema", frame: "pd.DataFrame", found: _Found) -> None:
    import pandera.pandas as pa

    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        failures = errors.failure_cases
        for (column, check), cases in failures.groupby(["column", "check"], sort=False):
            ids = frame["application_id"].loc[cases["index"].head(MOST_EXAMPLES)]
            rule = "not missing" if check == "not_nullable" else str(check)
            found.add(str(column), rule, len(cases), ids.astype(object).where(ids.notna(), None).tolist())


def _check_unique(con: "duckdb.DuckDBPyConnection", rows: str, found: _Found) -> None:
    repeated = con.execute(
        f"select application_id, count(*) as n from {rows} where application_id is not null "
        "group by application_id having n > 1 order by application_id"
    )
    n_failed, examples = 0, []
    while some := repeated.fetchmany(10_000):
        n_failed += sum(n for _, n in some)
        examples += [application_id for application_id, _ in some[:MOST_EXAMPLES]]
    if n_failed:
        found.add("application_id", "unique", n_failed, examples)
