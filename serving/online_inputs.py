"""History and cohort inputs of one application, read from the online store."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from warehouse.contract import FeatureContract
from warehouse.online_store import OnlineStore, RecordKey, borrower_key, cohort_key

WHOLE_SOURCE = "all"


@dataclass(frozen=True)
class LookedUp:
    """``values``: every history and cohort input, None where the store knows nothing.

    ``as_of``: the least recent time that the records used were computed for; ``newest`` the most recent.
    """

    values: dict[str, object]
    has_history: bool
    as_of: datetime | None
    newest: datetime | None
    lake_snapshot: int | None


@dataclass(frozen=True)
class OnlineInputs:
    """Which records a contract's history and cohort inputs come from, worked out once a model."""

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

    async def look_up(self, store: OnlineStore, borrower_id: str | None, request: Mapping[str, object]) -> LookedUp:
        """Read the borrower's record and one of each segment at once; unknown ones leave their inputs None.

        Raises OnlineStoreUnavailable; a contract without such inputs asks nothing.
        """
        wanted = dict(self._keys(borrower_id, request))
        found = dict(zip(wanted, await store.read(tuple(wanted.values())) if wanted else (), strict=True))
        values: dict[str, object] = {}
        for record_of, names in ((None, self.history), *self.cohorts.items()):
            record = found.get(record_of)
            values.update((name, record.values.get(name) if record else None) for name in names)
        records = [record for record in found.values() if record is not None]
        times = [record.as_of for record in records]
        return LookedUp(
            values=values,
            has_history=found.get(None) is not None,
            as_of=min(times, default=None),
            newest=max(times, default=None),
            lake_snapshot=min((record.snapshot for record in records), default=None),
        )

    def _keys(self, borrower_id: str | None, request: Mapping[str, object]) -> Iterator[tuple[str | None, RecordKey]]:
        """Segment (None for the borrower's own history) → the key of its record."""
        if borrower_id is not None and self.history:
            yield None, borrower_key(borrower_id)
        for segment in self.cohorts:
            value = WHOLE_SOURCE if segment == WHOLE_SOURCE else request.get(segment)
            if value is not None:
                yield segment, cohort_key(self.source, segment, str(value))
