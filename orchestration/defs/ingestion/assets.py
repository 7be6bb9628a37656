"""One step a source: its files, as received, become its raw tables."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.inbox import waiting_files
from orchestration.layers import LAKE_WRITER
from orchestration.run_settings import RunSettings
from warehouse.settings import Settings
from warehouse.sources import SOURCES, Source, ingest_files, ingest_simulated, raw_table

if TYPE_CHECKING:
    from warehouse.sources.ingest import IngestResult


def raw_key(source: str, entity: str) -> dg.AssetKey:
    """``raw/<source>_<entity>``, as the lake names the table."""
    return dg.AssetKey(raw_table(source, entity).split("."))


def ingest_step(source: Source) -> dg.AssetsDefinition:
    """The step that loads every raw table of ``source``."""

    @dg.multi_asset(
        name=f"ingest_{source.name}",
        specs=[
            dg.AssetSpec(
                raw_key(source.name, entity),
                description=f"{source.title}: one row per line of its {entity} files, all text, with file and line.",
                kinds={"csv", "duckdb"},
                metadata={"dagster/table_name": f"lake.{raw_table(source.name, entity)}"},
            )
            for entity in source.entities
        ],
        group_name="raw",
        pool=LAKE_WRITER,
    )
    def ingest(context: dg.AssetExecutionContext, run_settings: RunSettings) -> Iterator[dg.MaterializeResult[None]]:
        settings, started = Settings.from_environment(), time.monotonic()
        loaded = load_waiting(source.name, settings)
        if source.name == run_settings.active_source(settings):
            loaded += load_asked_for(source.name, run_settings, settings)
        context.log.info(f"{source.name}: {[f'{file.file} {file.status}' for file in loaded] or 'nothing to load'}")
        for entity in source.entities:
            files = [file for file in loaded if file.entity == entity]
            yield dg.MaterializeResult(
                asset_key=raw_key(source.name, entity),
                metadata={
                    **_counts(files),
                    "files": [f"{file.file} ({file.status.replace('_', ' ')})" for file in files],
                    "seconds": round(time.monotonic() - started, 2),
                },
            )

    return ingest


def load_asked_for(source: str, run_settings: RunSettings, settings: Settings) -> list["IngestResult"]:
    """Load the files that the run names; without any, the simulated lender writes its own if it has not yet."""
    if run_settings.files:
        return ingest_files(source, run_settings.files, settings, run_settings.entity or None)
    if source == "simulated" and (run_settings.simulate or not _has_files(source, settings)):
        return ingest_simulated(
            settings,
            applications=run_settings.simulated_applications,
            months=run_settings.simulated_months,
            seed=run_settings.simulated_seed,
        )
    return []


def load_waiting(source: str, settings: Settings) -> list["IngestResult"]:
    """Load what waits in the inbox of ``source``; each file leaves the inbox once it is in the lake."""
    loaded = []
    for file in waiting_files(settings, source):
        loaded += ingest_files(source, [file.path], settings, file.entity)
        file.path.unlink()
    return loaded


def _has_files(source: str, settings: Settings) -> bool:
    from warehouse.lake import connect

    if not settings.lake_catalog.exists() and settings.catalog is None:
        return False
    with connect(settings) as con:
        row = con.execute("select count(*) from raw.files where source = ?", [source]).fetchone()
    return bool(row and row[0])


def _counts(files: list["IngestResult"]) -> dict[str, int]:
    new = [file for file in files if file.status == "loaded"]
    return {
        "rows_loaded": sum(file.n_rows for file in new),
        "lines_rejected": sum(file.n_rejected for file in new),
        "rows_loaded_before": sum(file.n_rows for file in files) - sum(file.n_rows for file in new),
    }


ingest_steps = [ingest_step(source) for source in SOURCES.values()]
