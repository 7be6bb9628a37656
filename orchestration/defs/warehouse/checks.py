"""The feature contract as a blocking check of each version, between the features and whatever is made of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from orchestration import pages
from orchestration.feature_versions import feature_tables
from orchestration.layers import LAKE_WRITER
from orchestration.months import note_months
from warehouse.settings import Settings

if TYPE_CHECKING:
    from warehouse.feature_checks import CheckResult

_CHECK = "rows_keep_the_contract"


@dg.multi_asset_check(
    name=_CHECK,
    specs=[
        dg.AssetCheckSpec(_CHECK, asset=table, blocking=True, description=f"Every row keeps contract {version}.")
        for version, table in feature_tables().items()
    ],
    can_subset=True,
    pool=LAKE_WRITER,
)
def rows_keep_the_contract(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Every row of every version, by Pandera: types, plausible ranges, allowed values, unique keys, from its contract.

    What breaks a rule is written to ``monitoring.contract_violations``.
    """
    note_months(Settings.from_environment())
    selected = {key.asset_key for key in context.selected_asset_check_keys}
    for version, table in feature_tables().items():
        if table in selected:
            yield _evaluate(version, table)


def _evaluate(version: str, table: dg.AssetKey) -> dg.AssetCheckResult:
    result = check_contract(Settings.from_environment(), version)
    broken = [
        [found.column_name, found.rule, f"{found.n_failed:,}", ", ".join(str(example) for example in found.examples)]
        for found in result.violations
    ]
    return dg.AssetCheckResult(
        asset_key=table,
        check_name=_CHECK,
        passed=result.passed,
        description=str(result),
        metadata={
            "rows": result.n_rows,
            "lake_snapshot": result.lake_snapshot,
            **({"violations": pages.table(["column", "rule", "rows", "such as"], broken)} if broken else {}),
        },
    )


def check_contract(settings: Settings, version: str) -> "CheckResult":
    """Check every row of a version of the feature table, and record what breaks a rule."""
    from orchestration.feature_contract import feature_contract
    from warehouse.feature_checks import check_features, record_violations
    from warehouse.lake import connect, writer

    with connect(settings) as con:
        result = check_features(con, feature_contract(settings, version))
    if not result.passed:
        with writer("contract violations", settings) as con:
            record_violations(con, result)
    return result
