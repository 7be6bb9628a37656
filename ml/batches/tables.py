"""Score a table of features, lake to file: any number of rows in bounded memory.

DuckDB streams Arrow batches; each worker thread encodes and scores a batch alone, so no thread waits inside a
prediction. A batch of 20,000 rows fits the processor's cache.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.batches.results import ResultColumns, of_few_values, result_file
from ml.bundle.bundle import Bundle
from ml.bundle.feature_rows import model_columns
from ml.bundle.scorer import Scorer
from ml.decisions.problems import INVALID, Violation, broken_rules
from ml.training.design_matrix import is_within_float32
from ml.training.policy import DECISION_WORDS
from warehouse.batches.tables import SOURCE, scorable_table
from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS = 20_480
#: Columns that a refused row does not have.
_OF_A_SCORE = (
    "raw_score", "points", "probability", "probability_low", "probability_high", "band", "decision", "reasons",
    "lake_snapshot",
)  # fmt: skip
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class TableToScore:
    """A table at one snapshot: ``rows`` is SQL for a from clause; ``has_source``: it names the lender of each row."""

    rows: str
    has_source: bool
    n_rows: int
    lake_snapshot: int


def find_table(con: "duckdb.DuckDBPyConnection", name: str, bundle: Bundle) -> TableToScore:
    """Find the current table; raises BatchTableError if the model cannot score it."""
    quoted, has_source = scorable_table(con, name, model_columns(bundle))
    snapshot = current_snapshot(con)
    rows = f"{quoted} at (version => {snapshot:d})"
    ((n_rows,),) = con.execute(f"select count(*) from {rows}").fetchall()
    return TableToScore(rows, has_source, int(n_rows), snapshot)


def score_table(
    settings: Settings,
    table: TableToScore,
    bundle: Bundle,
    *,
    common: ResultColumns,
    path: Path,
    with_reasons: bool = False,
    scored: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> None:
    """Write a result for each row of the table to ``path``; ``scored`` gets the number of rows done, and may raise.

    ``threads`` defaults to one per processor. ``with_reasons``: explain rows not approved, at some milliseconds each.
    """
    scorer = TableScorer(Scorer(bundle), common, table.lake_snapshot, with_reasons)
    threads = threads or len(os.sched_getaffinity(0))
    n_done = 0
    with connect(settings) as con, result_file(path) as results:
        # each row is read once: DuckDB's cache of file contents would only take memory
        con.execute("set enable_external_file_cache = false")
        for result in _in_order(scorer.score, _batches(con, table, bundle), threads):
            results.write_table(result)
            n_done += result.num_rows
            if scored is not None:
                scored(n_done)


@dataclass(frozen=True)
class TableScorer:
    """Scores Arrow batches of features in any number of threads."""

    scorer: Scorer
    common: ResultColumns
    lake_snapshot: int
    with_reasons: bool

    def score(self, first_row: int, batch: "pa.RecordBatch") -> "pa.Table":
        """The results of a batch; ``first_row``: the number of its first row."""
        import pyarrow as pa

        problems = self._problems(batch)
        matrix = self.scorer.bundle.design_matrix.encode_batch(batch)
        scores = self.scorer.score_matrix(matrix)
        columns: dict[str, Any] = {
            "row_number": np.arange(first_row, first_row + batch.num_rows, dtype=np.int64),
            "application_id": batch.column("application_id"),
            "raw_score": scores.raw.astype(np.float64),
            "probability": scores.probability,
            "probability_low": scores.low,
            "probability_high": scores.high,
            **({} if scores.points is None else {"points": scores.points}),
            "band": of_few_values(scores.band_codes.astype(np.int8), list(scores.band_names)),
            "decision": of_few_values(scores.decision_codes, list(DECISION_WORDS)),
            "lake_snapshot": pa.repeat(self.lake_snapshot, batch.num_rows),
        }
        if self.with_reasons:
            reasons = self.scorer.logged_reasons(matrix, scores, of_approved=None)
            columns["reasons"] = pa.array(reasons, pa.string())
        if problems:
            _refuse(columns, problems)
        return self.common.table(batch.num_rows, **columns)

    def _problems(self, batch: "pa.RecordBatch") -> dict[int, str]:
        """Row → why it has no score: no id, another lender's, an infinite number, or an unknown category."""
        violations: dict[int, list[Violation]] = {}
        for field, rule, is_broken in self._broken(batch):
            for row in np.flatnonzero(is_broken.to_numpy(zero_copy_only=False)):
                found = batch.column(field)[int(row)].as_py()
                broken = Violation(field, rule) if found is None else Violation(field, rule, str(found)[:100])
                violations.setdefault(int(row), []).append(broken)
        return {
            row: INVALID.document(broken_rules(broken, of="row"), broken).to_json()
            for row, broken in violations.items()
        }

    def _broken(self, batch: "pa.RecordBatch") -> Iterator[tuple[str, str, "pa.BooleanArray"]]:
        """Yield field, rule, and the rows that break it; a rule that no row breaks costs one pass."""
        import pyarrow as pa
        import pyarrow.compute as pc

        bundle = self.scorer.bundle
        rules = [("application_id", "is required", pc.is_null(batch.column("application_id")))]
        if SOURCE in batch.schema.names:
            lender = bundle.lineage.source
            is_others = pc.fill_null(pc.not_equal(batch.column(SOURCE), lender), True)
            rules.append((SOURCE, f"must be {lender}, the model's lender", is_others))
        for feature in bundle.design_matrix.features:
            values = batch.column(feature.name)
            is_float = feature.kind == "numeric" and pa.types.is_floating(values.type)
            if is_float and not is_within_float32(values):
                # float32 would hold it as infinite, which the model treats as missing
                is_beyond = pc.fill_null(pc.greater(pc.abs(values), _FLOAT32_MAX), False)
                rules.append((feature.name, "must be a finite number, or null", is_beyond))
            if feature.kind == "categorical":
                is_known = pc.is_in(values, value_set=pa.array([*feature.values, None], values.type))
                rules.append(
                    (feature.name, f"must be one of {', '.join(feature.values)}, or null", pc.invert(is_known))
                )
        yield from (rule for rule in rules if pc.any(rule[2]).as_py())


def _batches(
    con: "duckdb.DuckDBPyConnection", table: TableToScore, bundle: Bundle
) -> Iterator[tuple[int, "pa.RecordBatch"]]:
    names = ", ".join(f'"{name}"' for name in (*model_columns(bundle), *([SOURCE] if table.has_source else [])))
    first_row = 1
    reader = con.execute(f"select application_id, {names} from {table.rows}").to_arrow_reader(batch_size=BATCH_ROWS)
    for batch in reader:
        yield first_row, batch
        first_row += batch.num_rows


def _in_order(
    score: Callable[[int, "pa.RecordBatch"], "pa.Table"],
    batches: Iterator[tuple[int, "pa.RecordBatch"]],
    threads: int,
) -> Iterator["pa.Table"]:
    """Yield results in the order of the batches; memory holds one batch more than there are threads."""
    waiting: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        try:
            for first_row, batch in batches:
                waiting.append(pool.submit(score, first_row, batch))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _refuse(columns: dict[str, Any], problems: dict[int, str]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    n_rows = len(columns["row_number"])
    is_scored = np.ones(n_rows, dtype=bool)
    is_scored[list(problems)] = False
    for name in _OF_A_SCORE:
        if name in columns:
            values = columns[name] if isinstance(columns[name], pa.Array) else pa.array(columns[name])
            columns[name] = pc.if_else(is_scored, values, pa.scalar(None, values.type))
    columns["problem"] = [problems.get(row) for row in range(n_rows)]
