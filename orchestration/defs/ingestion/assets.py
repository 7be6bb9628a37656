"""One step per source: its received files become its raw tables."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from orchestration.defs.ingestion.loaded_sources import loaded_sources
from orchestration.defs.ingestion.waiting import load_waiting
from orchestration.lib.dbt_project import prepared_manifest
from orchestration.lib.layers import LAKE_WRITER
from orchestration.lib.run_settings import RunSettings
from warehouse.errors import SourceFileError
from warehouse.lake.tables import program_tables
from warehouse.raw import SOURCES, raw_columns, raw_table
from warehouse.settings import Settings
from warehouse.sources import ingest_files, ingest_simulated
from warehouse.sources.ingest import IngestResult


def ingest_step(
    name: str, tables: Mapping[str, str], sources: Sequence[str], own_tables: Collection[str]
) -> dg.AssetsDefinition:
    """The step that loads the files of ``sources`` into ``tables`` (raw table → description).

    Empty ``sources``: every lender without a module of its own; dbt models read their ``own_tables``.
    """

    @dg.multi_asset(
        name=name,
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
        settings, started = Settings.from_environment(), time.monotonic()
        asked_for, loaded = run_settings.active_source(settings), []
        require_models(asked_for, own_tables)
        if asked_for in sources or (not sources and asked_for not in SOURCES):
            loaded = load_asked_for(asked_for, run_settings, settings) + load_waiting(
                asked_for, settings, context.log.warning
            )
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
    """Load the run's files; without any, the simulated lender writes its own if it has none yet."""
    if run_settings.files:
        return ingest_files(source, run_settings.files, settings, run_settings.entity or None)
    if source == "simulated" and (run_settings.simulate or source not in loaded_sources(settings)):
        return ingest_simulated(
            settings,
            applications=run_settings.simulated_applications,
            months=run_settings.simulated_months,
            seed=run_settings.simulated_seed,
        )
    return []


def require_models(source: str, own_tables: Collection[str]) -> None:
    """Raise SourceFileError for a lender whose rows no dbt model reads: the run would build nothing."""
    if source not in SOURCES and not any(table.startswith(raw_table(source, "")) for table in own_tables):
        raise SourceFileError(
            f"the lender of a run must be one whose raw tables dbt models read: found {source!r}, and models of "
            f"{', '.join((*SOURCES, *sorted(own_tables)))}. Write models (docs/bring-your-own-lender.md), then "
            f"`loanlake run {source}`; or, if the name is a mistake, move the files of inbox/{source}/ to the right one"
        )


def own_lenders_tables(manifest: Mapping[str, Any]) -> list[str]:
    """Raw tables that the dbt project reads and no built-in source fills."""
    read = {
        f"{node['schema']}.{node['identifier']}" for node in manifest["sources"].values() if node["schema"] == "raw"
    }
    return sorted(read - raw_columns().keys() - program_tables().keys())


def ingest_steps(manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """One step for each built-in source, and one for all own lenders if the dbt project reads any."""
    own = dict.fromkeys(own_lenders_tables(manifest), "A lender of your own: one row per line of its files, all text.")
    steps = [
        ingest_step(
            f"ingest_{source.name}",
            {
                raw_table(source.name, entity): f"{source.title}: one row per line of its {entity} files, all text."
                for entity in source.entities
            },
            [source.name],
            own,
        )
        for source in SOURCES.values()
    ]
    return [*steps, ingest_step("ingest_own_lenders", own, [], own)] if own else steps


def _counts(files: Sequence[IngestResult]) -> dict[str, int]:
    new = [file for file in files if file.status == "loaded"]
    return {
        "rows_loaded": sum(file.n_rows for file in new),
        "lines_rejected": sum(file.n_rejected for file in new),
        "rows_loaded_before": sum(file.n_rows for file in files) - sum(file.n_rows for file in new),
    }


@dg.definitions
def ingestion() -> dg.Definitions:
    """The steps, one per source."""
    steps = ingest_steps(json.loads(prepared_manifest(Settings.from_environment()).read_text()))
    return dg.Definitions(assets=steps)
