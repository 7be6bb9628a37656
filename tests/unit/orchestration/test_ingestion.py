"""Which lender's files a run loads."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.defs.ingestion.assets import ingest_step, ingest_steps, own_tables
from orchestration.lib import lenders
from orchestration.lib.run_settings import RunSettings
from tests.bureau_api import REPORTS, bureau_api
from warehouse.errors import PullError
from warehouse.lake.connection import connect
from warehouse.lenders import rules
from warehouse.settings import Settings


def project(*tables: str) -> dict[str, Any]:
    """A manifest whose models read these raw tables."""
    return {"sources": {table: {"schema": "raw", "identifier": table} for table in tables}}


def test_each_lender_loads_its_own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step for all own lenders could not tell whose files it loads in a run of no lender."""
    declared = dg.StaticPartitionsDefinition(["bank", "bank_cards", "seeded", "simulated"])
    monkeypatch.setattr("orchestration.defs.ingestion.assets.LENDERS", declared)
    manifest = project("bank_loans", "bank_cards_accounts", "lending_club_loans", "files")

    steps = {step.op.name: {key.path[-1] for key in step.keys} for step in ingest_steps(manifest)}

    assert own_tables(manifest, "bank") == ["raw.bank_loans"], "not those of bank_cards"
    assert steps.pop("ingest_simulated")
    assert steps == {"ingest_bank": {"bank_loans"}, "ingest_bank_cards": {"bank_cards_accounts"}}


@pytest.mark.parametrize(("lender", "loads"), [("uci_credit_card", True), ("lending_club", False), (None, True)])
def test_a_run_loads_the_files_of_its_lender_and_a_run_of_none_those_of_the_step(
    home: Settings, monkeypatch: pytest.MonkeyPatch, lender: str | None, loads: bool
) -> None:
    @dg.asset(partitions_def=lenders.LENDERS)
    def model() -> None:
        """Makes it a run of a lender."""

    loaded: list[str] = []
    monkeypatch.setattr(
        "orchestration.defs.ingestion.assets.load_waiting", lambda source, *_: loaded.append(source) or []
    )
    step = ingest_step("uci_credit_card", {"raw.uci_credit_card_accounts": "accounts"})

    done = dg.materialize(
        [step, model] if lender else [step], partition_key=lender, resources={"run_settings": RunSettings()}
    )

    assert done.success
    assert loaded == (["uci_credit_card"] if loads else [])


def test_what_a_lender_declares_is_pulled_in_the_same_step(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A raw table is one asset, whatever brings its rows."""
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)
    monkeypatch.setenv("BUREAU_TOKEN", "to-ken")
    step = ingest_step("bank", {"raw.bank_reports": "reports"})
    with bureau_api() as bureau:
        (tmp_path / "bank.yml").write_text(
            f"{bureau.connections}\n"
            "pulls: {reports: {connection: bureau, path: reports, items: data.reports, row_key: [report_id], "
            "pages: number, page_parameter: page}}"
        )

        done = dg.materialize([step], resources={"run_settings": RunSettings()})
        monkeypatch.setenv("BUREAU_TOKEN", "expired")
        with pytest.raises(PullError, match="reports is answered with 401"):
            dg.materialize([step], resources={"run_settings": RunSettings()})

    (materialized,) = done.asset_materializations_for_node("ingest_bank")
    assert materialized.metadata["rows_loaded"].value == len(REPORTS)
    with connect(home) as con:
        assert con.execute("select count(*) from raw.bank_reports").fetchone() == (len(REPORTS),)
