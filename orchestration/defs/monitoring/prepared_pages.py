"""The API's pages about models, monitoring and the portfolio, prepared from the tables of the run."""

import time

import dagster as dg

from ml.pages.preparing import prepare_pages
from orchestration.lib import layers
from orchestration.lib.lenders import LENDERS
from warehouse.settings import Settings


@dg.asset(
    key=layers.PAGES,
    deps=[
        layers.FEATURE_DRIFT,
        layers.SCORE_DRIFT,
        layers.PERFORMANCE,
        layers.PERFORMANCE_ESTIMATES,
        *layers.PORTFOLIO,
    ],
    partitions_def=LENDERS,
    group_name="monitoring",
    kinds={"html"},
)
def prepared_pages(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """What the API's pages /models, /monitoring and /portfolio show of the lender: they read no table themselves."""
    settings, started = Settings.from_environment(), time.monotonic()
    sizes = prepare_pages(settings, context.partition_key)
    return dg.MaterializeResult(
        metadata={
            "summary": ", ".join(f"{name} {size / 1000:,.0f} kB" for name, size in sizes.items()),
            "seconds": round(time.monotonic() - started, 2),
        }
    )
