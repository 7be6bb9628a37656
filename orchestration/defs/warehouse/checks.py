"""The feature contract as a blocking check, between the features and whatever is made of them."""

import dagster as dg

from orchestration import pages
from orchestration.layers import FEATURES, LAKE_WRITER
from warehouse.settings import Settings


@dg.asset_check(asset=FEATURES, name="rows_keep_the_contract", blocking=True, pool=LAKE_WRITER)
def rows_keep_the_contract() -> dg.AssetCheckResult:
    """Every row, by Pandera: types, plausible ranges, allowed values, unique keys, all from the contract.

    What breaks a rule is written to ``monitoring.contract_violations``.
    """
    from orchestration.feature_contract import feature_contract
    from warehouse.feature_checks import check_features, record_violations
    from warehouse.lake import connect, writer

    settings = Settings.from_environment()
    with connect(settings) as con:
        result = check_features(con, feature_contract(settings))
    if not result.passed:
        with writer("contract violations", settings) as con:
            record_violations(con, result)
    broken = [
        [found.column_name, found.rule, f"{found.n_failed:,}", ", ".join(str(example) for example in found.examples)]
        for found in result.violations
    ]
    return dg.AssetCheckResult(
        passed=result.passed,
        description=str(result),
        metadata={
            "rows": result.n_rows,
            "lake_snapshot": result.lake_snapshot,
            **({"violations": pages.table(["column", "rule", "rows", "such as"], broken)} if broken else {}),
        },
    )
