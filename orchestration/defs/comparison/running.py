"""One comparison, for the command and the asset: rows that passed their checks, figures in the lake, a page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml.comparison.comparing import Comparison, compare_families, plan_of
from ml.comparison.pictures import draw_comparison
from ml.comparison.tables import write_comparison
from ml.comparison.tracking import log_comparison
from ml.pages.preparing import prepare_pages
from ml.training.design_matrix import require_features
from orchestration.defs.comparison.page import write_page
from orchestration.defs.training.candidates import read_training_set_record
from orchestration.defs.training.steps import read_rows
from orchestration.lib.feature_versions import feature_contract
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


@dataclass(frozen=True)
class Compared:
    """A comparison with its plots, by name, and its page among the reports."""

    comparison: Comparison
    plots: dict[str, bytes]
    page: Path


def run_comparison(
    settings: Settings,
    source: str,
    families: tuple[str, ...] = (),
    *,
    imbalance: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    n_folds: int = 0,
    report: Callable[[str], None] | None = None,
) -> Compared:
    """Compare families on the training set that the source's last run accepted; log the comparison in MLflow.

    ``imbalance``, ``n_folds``: see :func:`ml.comparison.comparing.plan_of`.

    Raises NotFoundError if there is none: its rows passed the checks of the tables that they came from. Raises
    SettingError or ContractError, before any row is read, for a family or a feature that is unknown.
    """
    # first: a family that is unknown or not installed should not wait for the rows
    plan = plan_of(read_lender(source), families, imbalance=imbalance, exclude=exclude, n_folds=n_folds)
    record = read_training_set_record(settings, source)
    contract = feature_contract(settings, record.feature_version, source=source)
    require_features(contract, exclude)
    rows = read_rows(settings, record, exposures=plan.learns_from_open)
    comparison = compare_families(settings, rows, contract, plan, report)
    write_comparison(settings, comparison)
    plots = draw_comparison(comparison)
    page = write_page(settings, comparison, plots)
    log_comparison(settings, comparison, plots, page)
    prepare_pages(settings, source)  # the API's page shows the newest comparison
    return Compared(comparison, plots, page)
