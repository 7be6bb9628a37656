"""The newest figures of every lender as a step: a file that the API shows at ``/metrics``."""

import dagster as dg

from orchestration.lib import layers, pages
from warehouse.figures.published import publish_figures
from warehouse.settings import Settings


@dg.asset(
    key=layers.PUBLISHED_FIGURES,
    deps=[
        layers.ALERT_STATES,
        layers.BANDS,
        layers.FRESHNESS,
        layers.PERFORMANCE,
        layers.PERFORMANCE_ESTIMATES,
        layers.PREDICTIONS,
        layers.ROWS_SET_ASIDE,
    ],
    group_name="monitoring",
    kinds={"duckdb", "prometheus"},
    # of two runs at the same time, the older one's file must not replace the newer one's
    pool=layers.LAKE_WRITER,
)
def published_figures() -> dg.MaterializeResult[None]:
    """Alerts, performance, data and portfolio of all lenders, for /metrics of the API (docs/metrics.md)."""
    found = publish_figures(Settings.from_environment())
    rows = [[figure.name, ", ".join(figure.labels), f"{len(figure.series):,}", figure.text] for figure in found.figures]
    n_series = sum(len(figure.series) for figure in found.figures)
    return dg.MaterializeResult(
        metadata={
            "summary": f"{n_series:,} series of {len(found.figures):,} metrics"
            + (f"; not built yet: {', '.join(found.not_built)}" if found.not_built else ""),
            "metrics": pages.table(["metric", "labels", "series", "text"], rows),
        }
    )
