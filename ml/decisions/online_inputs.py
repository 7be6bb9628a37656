"""History and cohort inputs of one application, read from the online store."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec

from ml.decisions.freshness import Found, HistoryPolicy
from warehouse.decision_log import HistoryWord
from warehouse.errors import OnlineStoreUnavailable
from warehouse.features.contract import FeatureContract
from warehouse.online_store import OnlineStore, RecordKey, borrower_key, cohort_key

WHOLE_SOURCE = "all"
#: Segment (None for the borrower's own history) → the key of its record.
Keys = Mapping[str | None, RecordKey]


class LookedUp(msgspec.Struct, frozen=True):
    """``values``: every history and cohort input, None where the store knows nothing.

    ``as_of``: the least recent time that the records used were computed for. ``history``: what became of the look-up.
    """

    values: dict[str, object]
    has_history: bool
    as_of: datetime | None
    lake_snapshot: int | None
    history: HistoryWord


@dataclass(frozen=True)
class OnlineInputs:
    """Maps a contract's history and cohort inputs to records; worked out once per model."""

    source: str
    contract: FeatureContract

    @cached_property
    def is_needed(self) -> bool:
        """Whether the contract has any such input."""
        return bool(self.history or self.cohorts)

    @cached_property
    def history(self) -> tuple[str, ...]:
        """Inputs looked up by borrower."""
        return tuple(column.name for column in self.contract.inputs_of("history"))

    @cached_property
    def cohorts(self) -> dict[str, tuple[str, ...]]:
        """Inputs looked up by segment: the request column that names the cohort → its inputs."""
        segments: dict[str, tuple[str, ...]] = {}
        for column in self.contract.inputs_of("cohort"):
            segment = column.segment or WHOLE_SOURCE
            segments[segment] = (*segments.get(segment, ()), column.name)
        return segments

    def keys(self, borrower_id: str | None, request: Mapping[str, object]) -> Keys:
        """The records that an application's inputs come from."""
        keys: dict[str | None, RecordKey] = {}
        if borrower_id is not None and self.history:
            keys[None] = borrower_key(borrower_id)
        for segment in self.cohorts:
            value = WHOLE_SOURCE if segment == WHOLE_SOURCE else request.get(segment)
            if value is not None:
                keys[segment] = cohort_key(self.source, segment, str(value))
        return keys

    def take(self, keys: Keys, found: Found) -> LookedUp:
        """The inputs' values from the records found; None if there is no record."""
        records, history = found.records, found.history
        values: dict[str, object] = {}
        used = []
        for segment, names in ((None, self.history), *self.cohorts.items()):
            key = keys.get(segment)
            record = records.get(key) if key is not None else None
            if record is None:
                values |= dict.fromkeys(names)
            else:
                values |= zip(names, map(record.values.get, names), strict=True)
                used.append(record)
        has_history = keys.get(None) in records
        if not self.is_needed:
            history = "not_needed"
        elif history == "fresh" and self.history and not has_history:
            history = "unknown"
        return LookedUp(
            values=values,
            has_history=has_history,
            as_of=min((record.as_of for record in used), default=None),
            lake_snapshot=min((record.snapshot for record in used), default=None),
            history=history,
        )


async def find_records(store: OnlineStore, wanted: Iterable[Keys], policy: HistoryPolicy) -> Found:
    """Read all records at one moment; raises OnlineStoreUnavailable unless the policy tolerates that."""
    ordered = tuple({key: None for keys in wanted for key in keys.values()})
    if not ordered:
        return Found({}, "fresh")
    try:
        read = await store.read(ordered)
    except OnlineStoreUnavailable:
        if policy.unavailable == "score_without_history":
            return Found({}, "unavailable")
        raise
    return Found({key: record for key, record in zip(ordered, read, strict=True) if record is not None}, "fresh")
