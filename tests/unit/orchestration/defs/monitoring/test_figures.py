"""The step that publishes the figures of ``/metrics`` shows in Dagster what it published, and what was not there."""

import dagster as dg

from orchestration.defs.monitoring.figures import published_figures
from warehouse.figures.published import read_figures
from warehouse.lake.connection import writer
from warehouse.settings import Settings


def test_it_publishes_and_says_which_tables_are_not_built(home: Settings) -> None:
    with writer("tests", home):
        pass

    done = dg.materialize([published_figures], selection=[published_figures])

    [event] = done.get_asset_materialization_events()
    summary = event.materialization.metadata["summary"].text  # type: ignore[attr-defined]  # a text
    assert summary.startswith("0 series of ")
    assert summary.endswith(
        "not built yet: monitoring.alert_states, monitoring.freshness, portfolio.bands, staging.rows_set_aside"
    )
    assert read_figures(home) is not None
