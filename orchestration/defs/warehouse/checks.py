"""Checks on dbt's tables: each version's feature contract, and how many rows were set aside."""

from collections.abc import Iterator, Sequence

import dagster as dg

from orchestration.lib import pages
from orchestration.lib.feature_versions import feature_contract, feature_tables
from orchestration.lib.layers import LAKE_WRITER, ROWS_SET_ASIDE
from orchestration.lib.months import note_months
from orchestration.lib.progress import SUMMARY
from warehouse.errors import RunRefused
from warehouse.features.checks import CheckResult, check_features, is_broken_on_record, record_violations
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings
from warehouse.sources.rows_set_aside import Loss, losses, too_much_text

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
    """Every row of every version, checked by Pandera: types, plausible ranges, allowed values, unique keys.

    Violations are written to ``monitoring.contract_violations``.
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


def check_contract(settings: Settings, version: str) -> CheckResult:
    """Check every row of a version of the feature table, and record violations, or that there are none any longer."""
    with connect(settings) as con:
        result = check_features(con, feature_contract(settings, version))
        is_news = not result.passed or is_broken_on_record(con, result.table_name)
    if is_news:
        with writer("contract violations", settings) as con:
            record_violations(con, result)
    return result


@dg.asset_check(asset=ROWS_SET_ASIDE, blocking=True)
def few_rows_are_set_aside(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """No file of the run's lender lost more rows than the lender allows; in a run of no lender, no file of any.

    Otherwise the run fails and trains nothing. Tables are still built and scored, so that other lenders continue and
    the rows set aside can be examined.
    """
    lender = context.partition_key if context.has_partition_key else None
    return judged_losses(rows_set_aside(Settings.from_environment(), lender), lender)


def judged_losses(found: Sequence[Loss], lender: str | None) -> dg.AssetCheckResult:
    """The check's result for the rows set aside of a lender, or of all."""
    is_passed, said = not any(loss.is_too_much for loss in found), "; ".join(map(str, found))
    rows = [
        [
            loss.source,
            loss.entity,
            f"{loss.n_set_aside:,}",
            f"{loss.n_rows:,}",
            "; ".join(loss.reasons),
            ", ".join(loss.files),
        ]
        for loss in found
    ]
    columns = ["lender", "kind of file", "set aside", "rows", "commonest reasons", "files with too many"]
    return dg.AssetCheckResult(
        passed=is_passed,
        description=(said or f"{lender or 'all lenders'}: none") if is_passed else too_much_text(found),
        metadata={
            SUMMARY: said or "none",
            "lender": lender or "all",
            **({"set aside": pages.table(columns, rows)} if rows else {}),
        },
    )


def rows_set_aside(settings: Settings, source: str | None) -> list[Loss]:
    """The rows set aside of a lender's files, or of all lenders'."""
    with connect(settings) as con:
        return losses(con, source)


def require_few_set_aside(settings: Settings, source: str, *, before: str) -> None:
    """Raise RunRefused if a file lost more rows than the lender allows, whichever run built the tables."""
    found = rows_set_aside(settings, source)
    if any(loss.is_too_much for loss in found):
        raise RunRefused(f"{before} must wait: {too_much_text(found)}")
