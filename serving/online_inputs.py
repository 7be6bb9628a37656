"""History and cohort inputs of one application, read from the online store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from warehouse.contract import FeatureContract
from warehouse.online_store import OnlineStore, Record

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

    def look_up(self, store: OnlineStore, borrower_id: str | None, request: Mapping[str, object]) -> LookedUp:
        """Read the borrower's record and one of each segment; unknown ones leave their inputs None."""
        values: dict[str, object] = dict.fromkeys(self.history)
        records: list[Record] = []
        borrower = store.borrower(borrower_id) if borrower_id is not None and self.history else None
        if borrower is not None:
            records.append(borrower)
            values.update((name, borrower.values.get(name)) for name in self.history)
        for segment, names in self.cohorts.items():
            value = WHOLE_SOURCE if segment == WHOLE_SOURCE else request.get(segment)
            cohort = store.cohort(self.source, segment, str(value)) if value is not None else None
            if cohort is not None:
                records.append(cohort)
            values.update((name, cohort.values.get(name) if cohort else None) for name in names)
        times = [record.as_of for record in records]
        return LookedUp(
            values=values,
            has_history=borrower is not None,
            as_of=min(times, default=None),
            newest=max(times, default=None),
            lake_snapshot=min((record.snapshot for record in records), default=None),
        )
