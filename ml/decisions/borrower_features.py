"""Features of borrowers without an application: what the served model would read of them now.

Only features that are made of history alone have a value without an application. Their values are those that a score of
the same moment logs: the same records, the same policy for old history, and the compiled SQL of the served version.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from ml.decisions.freshness import BeforeItsHistory, Found, HistoryPolicy, HistoryTooOld
from ml.decisions.online_inputs import OnlineInputs, find_records
from ml.decisions.problems import INVALID, STALE_HISTORY, ProblemDocument, ProblemKind, Violation, broken_rules, shown
from warehouse.decision_log import HistoryWord
from warehouse.errors import ExpressionDomainError, FormatError, NotFoundError
from warehouse.features.contract import FeatureContract
from warehouse.features.expressions import compile_select
from warehouse.online_store import OnlineStore, open_store
from warehouse.settings import Settings, read
from warehouse.values.formats import MOST_CHARACTERS, read_id

NOT_COMPUTABLE = ProblemKind(422, "not-computable", "A feature has no result for these values")
_FIELD = "borrower_id"
_RULE = f"a text of 1 to {MOST_CHARACTERS} characters without control characters"
#: Borrowers answered before other requests get a turn: about a millisecond.
_ROWS_A_TURN = 16


class BorrowerFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """One borrower of a list: values, or why there are none.

    ``index``: place in the list. ``borrower_id``: as it was looked up, None if it could not be read. ``history``:
    ``fresh``, or ``stale`` by the policy and used; without values ``unknown`` (the online store has no such borrower),
    ``left_out`` (too old for this server) or ``not_needed`` (the model reads no history); None with a ``problem``.

    ``features``: by name, None where the SQL has no result. ``inputs``: the history columns that the model reads, as
    stored. ``as_of``: everything known before that time counts (UTC). ``lake_snapshot``: the snapshot of the lake with
    the same values. ``feature_version``: whose SQL computed the features.
    """

    index: int
    borrower_id: str | None = None
    history: HistoryWord | None = None
    features: dict[str, Any] | None = None
    inputs: dict[str, Any] | None = None
    as_of: datetime | None = None
    lake_snapshot: int | None = None
    feature_version: str | None = None
    problem: ProblemDocument | None = None


class BorrowerReader:
    """Reads the features of one contract's borrowers; worked out once per model, safe in any number of threads."""

    def __init__(self, source: str, contract: FeatureContract) -> None:
        """Raise ExpressionError if the contract's SQL cannot be compiled."""
        of_borrower = contract.features_made_of("history") - contract.features_made_of("key", "request", "cohort")
        #: Features that need no application, in table order.
        self.names = tuple(name for name in contract.feature_names if name in of_borrower)
        self._source = source
        self._version = contract.version
        self._online = OnlineInputs(source, replace(contract, inputs=contract.inputs_of("history")))
        types = {column.name: column.data_type for column in contract.inputs}
        self._compute = compile_select(contract.sql, types=types, columns=self.names)

    async def read(
        self,
        store: OnlineStore,
        borrower_ids: Sequence[object],
        policy: HistoryPolicy,
        *,
        at: datetime,
        is_given: bool = False,
    ) -> list[BorrowerFeatures]:
        """One row for each id, in their order, all of one moment of the store.

        ``at``: the time that ages count to, naive UTC; ``is_given``: it is the caller's own, and must not lie before
        the history. A bad id, or one whose history the policy refuses, has a problem; the others have their values.
        Raises OnlineStoreUnavailable, whatever the policy says: without the store no borrower has a feature.
        """
        ids = [_read(value) for value in borrower_ids]
        keys = [self._online.keys(each, {}) if isinstance(each, str) else {} for each in ids]
        found = await find_records(store, keys, replace(policy, unavailable="refuse"))
        rows = []
        for index, (borrower_id, own) in enumerate(zip(ids, keys, strict=True)):
            if index % _ROWS_A_TURN == _ROWS_A_TURN - 1:
                await asyncio.sleep(0)
            if isinstance(borrower_id, str):
                row = self._row(borrower_id, found, policy, own=own, at=at, is_given=is_given)
            else:
                row = BorrowerFeatures(index=0, problem=_invalid(borrower_id))
            rows.append(msgspec.structs.replace(row, index=index))
        return rows

    def _row(
        self, borrower_id: str, found: Found, policy: HistoryPolicy, *, own: Any, at: datetime, is_given: bool
    ) -> BorrowerFeatures:
        try:
            allowed = policy.allowed(found, own.values(), at, is_given=is_given)
            looked_up = self._online.take(own, allowed)
            if not looked_up.has_history:
                return BorrowerFeatures(index=0, borrower_id=borrower_id, history=looked_up.history)
            row = {_FIELD: borrower_id, "source": self._source, "decided_at": at, **looked_up.values}
            values = self._compute(row)
        except BeforeItsHistory as error:
            violation = Violation("decided_at", str(error), f"{at.isoformat()}Z")
            return BorrowerFeatures(index=0, borrower_id=borrower_id, problem=_invalid(violation))
        except HistoryTooOld as error:
            return BorrowerFeatures(index=0, borrower_id=borrower_id, problem=STALE_HISTORY.document(str(error)))
        except ExpressionDomainError as error:
            return BorrowerFeatures(index=0, borrower_id=borrower_id, problem=NOT_COMPUTABLE.document(str(error)))
        return BorrowerFeatures(
            index=0,
            borrower_id=borrower_id,
            history=looked_up.history,
            features=dict(zip(self.names, values, strict=True)),
            inputs=looked_up.values,
            as_of=looked_up.as_of.replace(tzinfo=UTC) if looked_up.as_of is not None else None,
            lake_snapshot=looked_up.lake_snapshot,
            feature_version=self._version,
        )


def features(
    borrower_ids: Sequence[object],
    *,
    lender: str | None = None,
    decided_at: datetime | None = None,
    settings: Settings | None = None,
) -> list[BorrowerFeatures]:
    """The features of these borrowers as the API's ``POST /v1/features`` answers them, read from the home's store.

    ``lender``: whose borrowers; by default ``LOANLAKE_DEFAULT_LENDER``, or the only one with a served model.
    ``decided_at``: the time that ages count to, UTC where it has no offset; now by default. Works in a notebook.
    Raises TypeError for one id instead of a list, NotFoundError if the lender has no served model, SettingError if none
    is named and several have one, FormatError for a time in the future, and OnlineStoreUnavailable if the store was
    never filled or does not answer.
    """
    from ml.registry.deployment import read_deployment
    from ml.registry.registered_version import load_registered

    if isinstance(borrower_ids, str | bytes):
        raise TypeError(f"borrower_ids must be a list of ids: found {borrower_ids!r}; write [{borrower_ids!r}]")
    settings = settings or Settings.from_environment()
    name = settings.chosen_lender(lender)
    deployment = read_deployment(settings, name)
    if deployment is None:
        served = ", ".join(settings.deployed_lenders()) or "none; `loanlake run` trains and publishes a model"
        raise NotFoundError(f"no model of the lender {name} is served in {settings.home}: served are {served}")
    now = datetime.now(UTC)
    at = decided_at.replace(tzinfo=decided_at.tzinfo or UTC) if decided_at is not None else now
    if at > now:
        raise FormatError(f"decided_at must not be in the future: found {at.isoformat()}, and it is {now.isoformat()}")
    reader = BorrowerReader(name, load_registered(settings, name, deployment.model_version).contract)
    policy = HistoryPolicy(**read(HistoryPolicy, os.environ))

    async def look_up() -> list[BorrowerFeatures]:
        store = open_store(settings)
        try:
            return await reader.read(
                store,
                borrower_ids,
                policy,
                at=at.astimezone(UTC).replace(tzinfo=None),
                is_given=decided_at is not None,
            )
        finally:
            await store.close()

    # a notebook's thread already runs an event loop
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, look_up()).result()


def _read(value: object) -> str | Violation:
    """The id as files and requests read it, or the rule that it breaks."""
    rule = _RULE
    try:
        if isinstance(value, str) and (found := read_id(value)) is not None:
            return found
    except FormatError as error:
        rule = str(error)
    return Violation(_FIELD, f"must be {rule}", shown(value))


def _invalid(violation: Violation) -> ProblemDocument:
    return INVALID.document(broken_rules((violation,), of="item"), (violation,))
