"""Dagster's events as OpenLineage events, in the classes of the maintained client.

A Dagster run is a run of the job named after Dagster's job; a step is a run of its own whose parent is that one. A step
that writes several tables, as dbt's do, has a run for each of them below it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID, uuid5

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    error_message_run,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
)

from orchestration.lib.dbt_project import FAILED_TABLES
from orchestration.lineage.graph import StepGraph, name_of

PRODUCER = f"https://pypi.org/project/loanlake/{version('loanlake')}"
#: A table's columns, (name, type, description) in order; None if there is no such table.
Columns = Callable[[str], Sequence[tuple[str, str, str | None]] | None]
_ENDED = {
    "STEP_SUCCESS": RunState.COMPLETE,
    "STEP_FAILURE": RunState.FAIL,
    "PIPELINE_SUCCESS": RunState.COMPLETE,
    "PIPELINE_FAILURE": RunState.FAIL,
    "PIPELINE_CANCELED": RunState.ABORT,
    "PIPELINE_START": RunState.START,
    "STEP_START": RunState.START,
}


class Happened(Protocol):
    """What is read of a Dagster event."""

    event_type_value: str
    step_key: str | None
    job_name: str
    asset_key: Any
    event_specific_data: Any


class Translator:
    """Events of one home. ``lake``, ``other``: namespaces of the lake's tables, and of models, files and stores."""

    def __init__(self, graph: StepGraph, columns: Columns, *, lake: str, other: str):
        self._graph = graph
        self._columns = columns
        #: Until a table is written again: many events name the same table.
        self._known: dict[str, Sequence[tuple[str, str, str | None]] | None] = {}
        self._lake, self._other = lake, other
        self._jobs = os.environ.get("OPENLINEAGE_NAMESPACE", "loanlake")

    def events(self, run_id: str, event: Happened, at: float) -> Iterator[RunEvent]:
        """The OpenLineage events of a Dagster event of a run, at a time in seconds since 1970; none for others."""
        kind, step = event.event_type_value, event.step_key
        if kind == "ASSET_MATERIALIZATION" and step is not None and event.asset_key is not None:
            yield from self._of_asset(run_id, step, event, at)
        elif kind.startswith("PIPELINE_"):
            yield self._event(_ENDED[kind], at, Run(run_id, self._failure(event)), event.job_name)
        elif step is not None:
            yield from self._of_failed_tables(run_id, step, event, at)
            parent = self._parent(run_id, event.job_name)
            written = self._graph.writes.get(step, ())
            one = written if len(written) == 1 else ()
            yield self._event(
                _ENDED[kind],
                at,
                Run(_step_run(run_id, step), parent | self._failure(event)),
                f"{event.job_name}.{step}",
                reads=[name for asset in one for name in self._graph.reads.get(asset, ())],
                writes=one,
            )

    def _of_asset(self, run_id: str, step: str, event: Happened, at: float) -> Iterator[RunEvent]:
        """Start and end of one table of a step that writes several."""
        self._known.pop(name_of(event.asset_key), None)
        if len(self._graph.writes.get(step, ())) == 1:
            return
        name = name_of(event.asset_key)
        metadata = event.event_specific_data.materialization.metadata
        seconds, rows = (
            getattr(metadata.get(label), "value", None) for label in ("Execution Duration", "dagster/row_count")
        )
        took = float(seconds) if isinstance(seconds, int | float) else 0.0
        yield from self._of_table(
            run_id, step, event.job_name, name, ended=RunState.COMPLETE, at=at, took=took, rows=rows
        )

    def _of_failed_tables(self, run_id: str, step: str, event: Happened, at: float) -> Iterator[RunEvent]:
        """Start and failure of each table that a failed step names; at the step's end, as nothing else has its time."""
        said = getattr(event.event_specific_data, "user_failure_data", None)
        failed = said.metadata.get(FAILED_TABLES) if said is not None else None
        for name, took in (failed.value if failed is not None else {}).items():
            yield from self._of_table(
                run_id, step, event.job_name, name, ended=RunState.FAIL, at=at, took=took, facets=_failed("dbt", "SQL")
            )

    def _of_table(
        self,
        run_id: str,
        step: str,
        job_name: str,
        name: str,
        *,
        ended: RunState,
        at: float,
        took: float,
        rows: int | None = None,
        facets: Mapping[str, Any] = MappingProxyType({}),
    ) -> Iterator[RunEvent]:
        parent = self._parent(_step_run(run_id, step), f"{job_name}.{step}")
        table_run, job = _step_run(run_id, f"{step}/{name}"), f"{job_name}.{step}.{name}"
        reads = self._graph.reads.get(name, ())
        yield self._event(RunState.START, at - took, Run(table_run, parent), job, reads=reads, writes=[name])
        yield self._event(ended, at, Run(table_run, {**parent, **facets}), job, reads=reads, writes=[name], rows=rows)

    def _event(
        self,
        state: RunState,
        at: float,
        run: Run,
        job: str,
        *,
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        rows: int | None = None,
    ) -> RunEvent:
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        return RunEvent(
            eventType=state,
            eventTime=datetime.fromtimestamp(at, UTC).isoformat(),
            run=run,
            job=Job(self._jobs, job),
            producer=PRODUCER,
            inputs=[InputDataset(*place, facets=facets) for place, facets in map(self._dataset, dict.fromkeys(reads))],
            outputs=[
                OutputDataset(
                    *place, facets=facets, outputFacets={} if rows is None else {"outputStatistics": statistics}
                )
                for place, facets in map(self._dataset, writes)
            ],
        )

    def _dataset(self, name: str) -> tuple[tuple[str, str], dict[str, Any]]:
        if name not in self._known:
            self._known[name] = self._columns(name)
        columns = self._known[name]
        if columns is None:
            return (self._other, name), {}
        fields = [
            schema_dataset.SchemaDatasetFacetFields(column, kind, description, ordinal_position=place)
            for place, (column, kind, description) in enumerate(columns, start=1)
        ]
        return (self._lake, f"lake.{name}"), {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}

    def _parent(self, run_id: str, job: str) -> dict[str, Any]:
        return {
            "parent": parent_run.ParentRunFacet(
                run=parent_run.Run(runId=run_id), job=parent_run.Job(namespace=self._jobs, name=job)
            )
        }

    def _failure(self, event: Happened) -> dict[str, Any]:
        """The kind of the error: its message may quote a row, and a receiver is another system."""
        error = getattr(event.event_specific_data, "error", None)
        if error is None:
            return {}
        while error.cause is not None:
            error = error.cause
        return _failed(error.cls_name or "error", "python")


def _failed(kind: str, language: str) -> dict[str, Any]:
    return {"errorMessage": error_message_run.ErrorMessageRunFacet(f"{kind}: see the run in Dagster", language)}


def _step_run(run_id: str, step: str) -> str:
    return str(uuid5(UUID(run_id), step))
