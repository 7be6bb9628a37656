"""Score the rows of a batch as ``POST /v1/scores`` scores one: the same look-ups, compiled features, scorer and log.

Each row is a decision, with an id that follows from batch and row: whoever makes the batch again, in whatever process,
makes the same ids, and the decision log keeps the first entry of an id.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ml.batch_results import ResultColumns, of_few_values, result_file
from ml.bundle import Bundle
from ml.deployment import Deployment
from ml.freshness import HistoryPolicy, Records, StaleWord, UnavailableWord, age_text
from ml.lake_rows import arrow_schema
from ml.logged_values import dump_features, dump_inputs, dump_reasons, load_inputs
from ml.online_inputs import Keys, LookedUp, OnlineInputs
from ml.row_problems import RowProblem, invalid_row, not_scorable, stale_history
from ml.scorer import Score, Scorer
from warehouse.batches import Batch, BatchFiles, SentRow
from warehouse.contract import FeatureContract
from warehouse.decision_log import Decision, HistoryWord
from warehouse.errors import ExpressionDomainError, OnlineStoreUnavailable
from warehouse.online_store import OnlineStore, open_store
from warehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows looked up, scored and reported at a time.
ROWS_AT_ONCE = 500
_NAMESPACE = uuid.UUID("c2f0f0a4-93d8-5f7e-8a53-3f0b1c5d7e64")
_DECISIONS = "serving.predictions"


def batch_row_decision_id(batch_id: str, row_number: int) -> str:
    """The id of the decision on a row: the same whenever it is made."""
    return str(uuid.uuid5(_NAMESPACE, f"{batch_id}/{row_number}"))


def request_fields(contract: FeatureContract) -> str:
    """A fingerprint of what a request may hold by this contract, and under which rules."""
    rules = [
        (column.name, column.data_type, column.required, column.range, column.values)
        for column in contract.inputs_of("request")
    ]
    return hashlib.sha256(json.dumps(rules).encode()).hexdigest()


def history_policy(batch: Batch) -> HistoryPolicy:
    """How old history may be: as the server said that took the batch."""
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
    """Write results, and the decisions behind them, to drafts of the batch's files.

    ``scored`` is told the rows done so far, and may raise. Raises OnlineStoreUnavailable where history cannot be looked
    up and the policy says to refuse then.
    """
    from pyarrow.parquet import ParquetWriter

    files, n_done = BatchFiles(settings, batch.batch_id), 0
    rows = RowScorer(Scorer(bundle), deployment, history_policy(batch), batch.batch_id)
    with (
        asyncio.Runner() as runner,
        _store(settings, runner) as store,
        result_file(files.draft_of(files.results)) as results,
        ParquetWriter(files.draft_of(files.decisions), _decision_schema()) as decisions,
    ):
        for some in files.read_rows(batch.body_sha256, ROWS_AT_ONCE):
            outcomes = runner.run(rows.score(some, store))
            made = [found for found in outcomes if isinstance(found, Decision)]
            decisions.write_table(_decision_table(made))
            results.write_table(_result_table(common, some, outcomes, bundle))
            n_done += len(some)
            if scored is not None:
                scored(n_done)


class _store:  # noqa: N801 - reads as the function it stands for
    """The online store, closed in the loop that it was used in."""

    def __init__(self, settings: Settings, runner: asyncio.Runner):
        self._store, self._runner = open_store(settings), runner

    def __enter__(self) -> OnlineStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._store.close())


@dataclass
class _Prepared:
    """A row on its way: what it asked, and the records that are its own."""

    row: SentRow
    request: dict[str, Any]
    keys: Keys


@dataclass(frozen=True)
class RowScorer:
    """Scores sent rows with one version."""

    scorer: Scorer
    deployment: Deployment
    policy: HistoryPolicy
    batch_id: str

    async def score(self, rows: Sequence[SentRow], store: OnlineStore) -> list[Decision | RowProblem | None]:
        """What came of each row: a decision, a problem, or None where the row came with its problem."""
        online = OnlineInputs(self.deployment.source, self.scorer.contract)
        prepared: dict[int, _Prepared] = {}
        for place, row in enumerate(rows):
            if row.request is not None:
                request = load_inputs(row.request, self.scorer.contract)
                prepared[place] = _Prepared(row, request, online.keys(row.borrower_id, request))
        records, word = await self._records(store, [each.keys for each in prepared.values()])
        outcomes: list[Decision | RowProblem | None] = [None] * len(rows)
        made: dict[int, tuple[Mapping[str, object], tuple[object, ...], LookedUp]] = {}
        for place, each in prepared.items():
            occasion = self._occasion(each, {key: records[key] for key in each.keys.values() if key in records}, word)
            if isinstance(occasion, RowProblem):
                outcomes[place] = occasion
                continue
            given, allowed, became = occasion
            looked_up = online.take(each.keys, allowed, history=became)
            known = {**given, **looked_up.values}
            inputs = {column.name: known.get(column.name) for column in self.scorer.contract.inputs}
            try:
                made[place] = inputs, self.scorer.features(inputs), looked_up
            except ExpressionDomainError as error:
                outcomes[place] = not_scorable(str(error))
        scores = self.scorer.score_many([features for _, features, _ in made.values()])
        for (place, (of_row, features, looked_up)), score in zip(made.items(), scores, strict=True):
            outcomes[place] = self._decision(prepared[place].row, of_row, features, looked_up, score)
        return outcomes

    async def _records(self, store: OnlineStore, keys: Sequence[Keys]) -> tuple[Records, HistoryWord]:
        ordered = tuple({key: None for wanted in keys for key in wanted.values()})
        if not ordered:
            return {}, "fresh"
        try:
            found = await store.read(ordered)
        except OnlineStoreUnavailable:
            if self.policy.unavailable == "score_without_history":
                return {}, "unavailable"
            raise
        return {key: record for key, record in zip(ordered, found, strict=True) if record is not None}, "fresh"

    def _occasion(
        self, each: _Prepared, records: Records, word: HistoryWord
    ) -> tuple[dict[str, object], Records, HistoryWord] | RowProblem:
        """The request with its context, and the records that may be used for it."""
        given = cast("datetime | None", each.request.get("decided_at"))
        decided_at = given or datetime.now(UTC).replace(tzinfo=None)
        newest = max((record.as_of for record in records.values()), default=None)
        fresh = self.policy.fresh_enough(records, decided_at)
        if len(fresh) < len(records):
            if self.policy.stale == "refuse":
                as_of = min(record.as_of for record in records.values())
                limit = age_text(self.policy.max_age or timedelta())
                age = age_text(decided_at - as_of)
                return stale_history(
                    f"History is as of {as_of.isoformat()}Z, {age} before this decision; the limit here is {limit}"
                )
            word = "stale" if self.policy.stale == "score" else "left_out"
            records = records if word == "stale" else fresh
        if given is not None and newest is not None and given < newest:
            # the history at hand was not known then: such a score would see the future
            rule = f"must not be before the history used, which is as of {newest.isoformat()}Z"
            return invalid_row([{"field": "decided_at", "rule": rule, "found": f"{given.isoformat()}Z"}])
        context = {"source": self.deployment.source, "decided_at": decided_at}
        return {**each.request, **context}, records, word

    def _decision(
        self,
        row: SentRow,
        inputs: Mapping[str, object],
        features: tuple[object, ...],
        looked_up: LookedUp,
        score: Score,
    ) -> Decision:
        deployment, contract = self.deployment, self.scorer.contract
        reasons = self.scorer.reasons(features) if score.decision == "decline" else []
        is_stale = looked_up.history == "stale"
        return Decision(
            decision_id=batch_row_decision_id(self.batch_id, row.row_number),
            decided_at=cast(datetime, inputs["decided_at"]),
            source=deployment.source,
            application_id=str(row.application_id),
            borrower_id=row.borrower_id,
            inputs=dump_inputs(inputs),
            features=dump_features(features, contract),
            raw_score=score.raw,
            probability=score.probability,
            band=score.band,
            decision=score.decision,
            reasons=dump_reasons(reasons),
            model_name=deployment.model_name,
            model_version=deployment.model_version,
            feature_version=deployment.feature_version,
            route="online",
            status="scored_without_history"
            if not looked_up.has_history
            else "scored_with_stale_history"
            if is_stale
            else "scored",
            features_as_of=looked_up.as_of,
            lake_snapshot=looked_up.lake_snapshot,
            role="batch",
            history=looked_up.history,
        )


def read_decisions(files: BatchFiles) -> Iterator[list[Decision]]:
    """The decisions of a batch that the decision log has not yet, some at a time."""
    import pyarrow.parquet as pq

    if not files.decisions.exists():
        return
    with pq.ParquetFile(files.decisions) as file:
        for some in file.iter_batches(batch_size=ROWS_AT_ONCE):
            yield [msgspec.convert(row, Decision) for row in some.to_pylist()]


def _decision_schema() -> "pa.Schema":
    schema = arrow_schema(_DECISIONS)
    return schema.remove(schema.get_field_index("ingested_at"))


def _decision_table(decisions: Sequence[Decision]) -> "pa.Table":
    import pyarrow as pa

    schema = _decision_schema()
    return pa.table([[getattr(row, name) for row in decisions] for name in schema.names], schema=schema)


def _result_table(
    common: ResultColumns, rows: Sequence[SentRow], outcomes: Sequence[Decision | RowProblem | None], bundle: Bundle
) -> "pa.Table":
    decisions = [found if isinstance(found, Decision) else None for found in outcomes]
    bands = [band.name for band in bundle.policy.bands]
    words = ["approve", "decline"]
    plain = ("raw_score", "probability", "reasons", "decision_id", "lake_snapshot")
    return common.table(
        len(rows),
        row_number=[row.row_number for row in rows],
        application_id=[row.application_id for row in rows],
        band=of_few_values([bands.index(made.band) if made else None for made in decisions], bands),
        decision=of_few_values([words.index(made.decision) if made else None for made in decisions], words),
        problem=[_problem(row, found) for row, found in zip(rows, outcomes, strict=True)],
        **{name: [getattr(made, name) if made else None for made in decisions] for name in plain},
    )


def _problem(row: SentRow, outcome: Decision | RowProblem | None) -> str | None:
    if isinstance(outcome, RowProblem):
        return outcome.to_json()
    return row.problem
