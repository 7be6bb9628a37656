"""The step that prepares the pages of a lender."""

import dagster as dg

from orchestration.defs.monitoring.prepared_pages import prepared_pages
from tests.model_factory import SOURCE, publish_model
from tests.prepared_tables import fill_tables
from warehouse.settings import Settings


def test_it_writes_the_pages_of_its_lender_and_shows_their_sizes(home: Settings) -> None:
    publish_model(home)
    fill_tables(home)

    done = dg.materialize([prepared_pages], selection=[prepared_pages], partition_key=SOURCE)

    [event] = done.get_asset_materialization_events()
    assert done.success
    assert "monitoring " in str(event.materialization.metadata["summary"].value)
    written = sorted(path.name for path in (home.pages / SOURCE).glob("*.json"))
    assert written == ["features.json", "models.json", "monitoring.json", "portfolio.json"]
