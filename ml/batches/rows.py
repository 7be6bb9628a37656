"""Score the rows of a batch with the look-ups, compiled features, scorer and log of ``POST /v1/scores``.

Each decision's id follows from batch and row, so a repeated batch makes the same ids; the decision log keeps the first
entry of an id.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ml.batches.results import ResultColumns, of_few_values, result_file
from ml.bundle.bundle import Bundle
from ml.bundle.logged_values import load_inputs
from ml.bundle.scorer import Scorer
from ml.decisions.decision import Channel, Occasion, decide_columns
from ml.decisions.freshness import BeforeItsHistory, Found, HistoryPolicy, HistoryTooOld, StaleWord, UnavailableWord
from ml.decisions.online_inputs import Keys, OnlineInputs, find_records
from ml.decisions.problems import INVALID, NOT_SCORABLE, STALE_HISTORY, ProblemDocument, Violation, broken_rules
from ml.registry.deployment import Deployment
from ml.training.policy import DECISION_WORDS
from warehouse.batches import Batch, BatchFiles, SentRow
from warehouse.decision_log import Decision
from warehouse.decision_log.entries import DECISIONS
from warehouse.errors import ExpressionDomainError
from warehouse.features.contract import FeatureContract
from warehouse.online_store import OnlineStore, open_store
from warehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows looked up, scored and reported together.
ROWS_AT_ONCE = 500
#: The result of a row; None: the row arrived with its problem.
_Outcome = Decision | ProblemDocument | None
_NAMESPACE = uuid.UUID("c2f0f0a4-93d8-5f7e-8a53-3f0b1c5d7e64")


def batch_row_decision_id(batch_id: str, row_number: int) -> str:
    """The id of the decision on a row; always the same for a batch and row."""
    return str(uuid.uuid5(_NAMESPACE, f"{batch_id}/{row_number}"))


def request_fields(contract: FeatureContract) -> str:
    """A fingerprint of the fields and rules of a request under this contract."""
    rules = [
        (column.name, column.data_type, column.required, column.range, column.values)
        for column in contract.inputs_of("request")
    ]
    return hashlib.sha256(json.dumps(rules).encode()).hexdigest()


def history_policy(batch: Batch) -> HistoryPolicy:
    """The history policy of the server that accepted the batch."""
    request = batch.request
    hours = request.history_max_age_hours
    return HistoryPolicy(
        max_age=timedelta(hours=hours) if hours is not None else None,
        stale=cast(StaleWord, request.history_stale),
        unavailable=cast(UnavailableWord, request.history_unavailable),
    )


def score_rows(
    settings: Settings,
    batch: Batch,
    bundle: Bundle,
    deployment: Deployment,
    *,
    common: ResultColumns,
    scored: Callable[[int], None] | None = None,
) -> None:
    """Write results and their decisions to drafts of the batch's files.

    ``scored`` gets the number of rows done, and may raise. Raises OnlineStoreUnavailable if history cannot be looked up
    and the policy refuses to score without it.
    """
    from pyarrow.parquet import ParquetWriter

    files, n_done = BatchFiles(settings, batch.batch_id), 0
    channel = Channel(
        "file_batch" if batch.request.table is None else "table_batch", batch.caller_id, batch.request.caller_name
    )
    rows = RowScorer(Scorer(bundle), deployment, history_policy(batch), batch.batch_id, channel)
    with (
        asyncio.Runner() as runner,
        _open_store(settings, runner) as store,
        result_file(files.draft_of(files.results)) as results,
        ParquetWriter(files.draft_of(files.decisions), DECISIONS.arrow_schema()) as decisions,
    ):
        for some in files.read_rows(ROWS_AT_ONCE):
            outcomes = runner.run(rows.score(some, store))
            made = [found for found in outcomes if isinstance(found, Decision)]
            decisions.write_table(DECISIONS.to_arrow(made))
            results.write_table(_result_table(common, some, outcomes, bundle))
            n_done += len(some)
            if scored is not None:
                scored(n_done)


@contextmanager
def _open_store(settings: Settings, runner: asyncio.Runner) -> Iterator[OnlineStore]:
    """The online store, closed in the event loop that used it."""
    store = open_store(settings)
    try:
        yield store
    finally:
        runner.run(store.close())


@dataclass(frozen=True)
class RowScorer:
    """Scores sent rows with one version."""

    scorer: Scorer
    deployment: Deployment
    policy: HistoryPolicy
    batch_id: str
    channel: Channel

    async def score(self, rows: Sequence[SentRow], store: OnlineStore) -> list[_Outcome]:
        """The result of each row: a decision, a problem, or None where the row arrived with its problem."""
        online = self._online_inputs
        requests = [load_inputs(row.request, self.scorer.contract) if row.request else None for row in rows]
        keys = [
            online.keys(row.borrower_id, request) if request else {}
            for row, request in zip(rows, requests, strict=True)
        ]
        found = await find_records(store, keys, self.policy)
        return [
            self._decide(row, request, wanted, found) if request else None
            for row, request, wanted in zip(rows, requests, keys, strict=True)
        ]

    @cached_property
    def _online_inputs(self) -> OnlineInputs:
        return OnlineInputs(self.deployment.source, self.scorer.contract)

    def _decide(self, row: SentRow, request: Mapping[str, Any], keys: Keys, found: Found) -> Decision | ProblemDocument:
        given: datetime | None = request["decided_at"]
        decided_at = given or datetime.now(UTC).replace(tzinfo=None)
        try:
            allowed = self.policy.allowed(found, keys.values(), decided_at, is_given=given is not None)
            occasion = Occasion(request, self._online_inputs.take(keys, allowed), decided_at, self.channel)
            columns, _ = decide_columns(self.scorer, self.deployment, occasion)
        except BeforeItsHistory as error:
            violation = Violation("decided_at", str(error), f"{decided_at.isoformat()}Z")
            return INVALID.document(broken_rules([violation], of="row"), [violation])
        except HistoryTooOld as error:
            return STALE_HISTORY.document(str(error))
        except ExpressionDomainError as error:
            return NOT_SCORABLE.document(str(error))
        return Decision(decision_id=batch_row_decision_id(self.batch_id, row.row_number), role="champion", **columns)


def read_decisions(files: BatchFiles) -> Iterator[list[Decision]]:
    """Yield the batch's decisions that the decision log does not have yet, in blocks."""
    import pyarrow.parquet as pq

    if not files.decisions.exists():
        return
    with pq.ParquetFile(files.decisions) as file:
        for some in file.iter_batches(batch_size=ROWS_AT_ONCE):
            yield [msgspec.convert(row, Decision) for row in some.to_pylist()]


def _result_table(
    common: ResultColumns,
    rows: Sequence[SentRow],
    outcomes: Sequence[Decision | ProblemDocument | None],
    bundle: Bundle,
) -> "pa.Table":
    decisions = [found if isinstance(found, Decision) else None for found in outcomes]
    bands = [band.name for band in bundle.policy.bands]
    words = list[str](DECISION_WORDS)
    plain = (
        "raw_score", "points", "probability", "probability_low", "probability_high", "reasons", "decision_id",
        "lake_snapshot",
    )  # fmt: skip
    return common.table(
        len(rows),
        row_number=[row.row_number for row in rows],
        application_id=[row.application_id for row in rows],
        borrower_id=[row.borrower_id for row in rows],
        band=of_few_values([bands.index(made.band) if made else None for made in decisions], bands),
        decision=of_few_values([words.index(made.decision) if made else None for made in decisions], words),
        problem=[
            found.to_json() if isinstance(found, ProblemDocument) else row.problem
            for row, found in zip(rows, outcomes, strict=True)
        ],
        **{name: [getattr(made, name) if made else None for made in decisions] for name in plain},
    )
