"""One step per lender: its received files become its raw tables."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from orchestration.dbt_process import have_dbt_ready
from orchestration.defs.ingestion import inbox
from orchestration.defs.ingestion.waiting import load_waiting
from orchestration.defs.pipeline.loaded_sources import loaded_sources
from orchestration.lib.dbt_project import prepared_manifest
from orchestration.lib.layers import LAKE_WRITER
from orchestration.lib.lenders import LENDERS
from orchestration.lib.run_settings import RunSettings
from warehouse.lake.tables import program_tables
from warehouse.lenders.rules import read_lender
from warehouse.raw import SOURCES, raw_columns, raw_table
from warehouse.settings import Settings
from warehouse.sources import ingest_files, ingest_simulated
from warehouse.sources.ingest import IngestResult


def ingest_step(lender: str, tables: Mapping[str, str]) -> dg.AssetsDefinition:
    """The step that loads the lender's files, and pulls what it declares, into ``tables`` (raw table → description).

    Not partitioned: a raw table is one lender's. In a run of another lender it loads nothing; in a run of no lender,
    its own files.
    """

    @dg.multi_asset(
        name=f"ingest_{lender}",
        specs=[
            dg.AssetSpec(
                dg.AssetKey(table.split(".")),
                description=description,
                kinds={"csv", "duckdb"},
                metadata={"dagster/table_name": f"lake.{table}"},
            )
            for table, description in tables.items()
        ],
        group_name="raw",
        pool=LAKE_WRITER,
    )
    def ingest(context: dg.AssetExecutionContext, run_settings: RunSettings) -> Iterator[dg.MaterializeResult[None]]:
        settings, started, loaded = Settings.from_environment(), time.monotonic(), []
        if not context.has_partition_key or context.partition_key == lender:
            loaded = load_asked_for(lender, run_settings, settings)
            loaded += load_waiting(lender, settings, context.log.warning)
            loaded += load_pulled(lender, settings, context.log)
        context.log.info(f"{[f'{file.file} {file.status}' for file in loaded] or 'nothing to load'}")
        for table in tables:
            files = [file for file in loaded if raw_table(file.source, file.entity) == table]
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(table.split(".")),
                metadata={
                    **_counts(files),
                    "files": [f"{file.file} ({file.status.replace('_', ' ')})" for file in files],
                    "seconds": round(time.monotonic() - started, 2),
                },
            )

    return ingest


def load_asked_for(source: str, run_settings: RunSettings, settings: Settings) -> list[IngestResult]:
    """Load the run's files; without any, loaded or waiting in the inbox, the simulated lender writes its own."""
    if run_settings.files:
        have_dbt_ready()  # new rows are to be built from
        return ingest_files(source, run_settings.files, settings, run_settings.entity or None)
    if source == "simulated" and (run_settings.simulate or not _has_files(source, settings)):
        have_dbt_ready()
        return ingest_simulated(
            settings,
            applications=run_settings.simulated_applications,
            months=run_settings.simulated_months,
            seed=run_settings.simulated_seed,
        )
    return []


def load_pulled(source: str, settings: Settings, log: logging.Logger) -> list[IngestResult]:
    """Pull what the lender's file declares; without pulls, nothing is imported for them."""
    if not read_lender(source).pulls:
        return []
    from warehouse.sources.pulling.pull import PullResult, pull

    loaded: list[IngestResult] = []

    def report(result: PullResult) -> None:
        log.info(f"{result.entity}: {result.n_read:,} rows read from {result.pulled_from}, {result.n_loaded:,} loaded")
        for notice in result.notices:
            log.warning(f"{result.entity}: {notice}")
        loaded.extend(result.loaded)

    pull(source, settings, report=report)
    return loaded


def _has_files(source: str, settings: Settings) -> bool:
    waiting = inbox.look(settings, source)
    return bool(waiting.waiting or waiting.unsettled) or source in loaded_sources(settings)


def own_tables(manifest: Mapping[str, Any], lender: str) -> list[str]:
    """Raw tables of the lender that the dbt project reads and no built-in source fills."""
    read = {
        f"{node['schema']}.{node['identifier']}" for node in manifest["sources"].values() if node["schema"] == "raw"
    }
    own = read - raw_columns().keys() - program_tables().keys()
    # the longest name: a lender `bank` has no table of a lender `bank_cards`
    return sorted(table for table in own if _lender_of(table) == lender)


def _lender_of(table: str) -> str | None:
    names = [name for name in LENDERS.get_partition_keys() if table.startswith(raw_table(name, ""))]
    return max(names, key=len, default=None)


def ingest_steps(manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """One step for each lender whose files a dbt model reads."""
    described = {lender: _described(manifest, lender) for lender in LENDERS.get_partition_keys()}
    return [ingest_step(lender, tables) for lender, tables in described.items() if tables]


def _described(manifest: Mapping[str, Any], lender: str) -> dict[str, str]:
    if lender in SOURCES:
        source = SOURCES[lender]
        return {
            raw_table(lender, entity): f"{source.title}: one row per line of its {entity} files, all text."
            for entity in source.entities
        }
    return dict.fromkeys(own_tables(manifest, lender), f"{lender}: one row per line of its files, all text.")


def _counts(files: Sequence[IngestResult]) -> dict[str, int]:
    new = [file for file in files if file.status == "loaded"]
    return {
        "rows_loaded": sum(file.n_rows for file in new),
        "lines_rejected": sum(file.n_rejected for file in new),
        "rows_loaded_before": sum(file.n_rows for file in files) - sum(file.n_rows for file in new),
    }


@dg.definitions
def ingestion() -> dg.Definitions:
    """The steps, one per lender."""
    steps = ingest_steps(json.loads(prepared_manifest(Settings.from_environment()).read_text()))
    return dg.Definitions(assets=steps)
