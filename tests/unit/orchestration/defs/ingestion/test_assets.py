"""Which files a run's first step loads besides those in the inbox."""

from orchestration.defs.ingestion.assets import load_asked_for
from orchestration.lib.run_settings import RunSettings
from warehouse.settings import Settings


def test_files_in_the_inbox_keep_the_simulated_lender_from_writing_its_own(home: Settings) -> None:
    path = home.inbox / "simulated" / "truth" / "truth-2024-01.csv"
    path.parent.mkdir(parents=True)
    path.write_text("application_id,p_default,is_shock_period\na1,0.1,false\n")

    assert load_asked_for("simulated", RunSettings(), home) == []


def test_a_simulated_lender_without_files_writes_its_own(home: Settings) -> None:
    loaded = load_asked_for("simulated", RunSettings(simulated_applications=60, simulated_months=12), home)

    assert {file.entity for file in loaded} == {"applications", "statements", "outcomes", "demographics", "truth"}
