"""How old history and cohorts may be, and what happens to a score where they are older or cannot be had.

Age is the decision's time less the record's ``as_of``: against the server's clock in live use, against ``decided_at``
where a caller gives it. A source whose own clock stands in the past, such as a historical file, is therefore old for a
decision of today, truly, and fresh for one dated into its own time. So no limit is set unless the lender sets one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from warehouse.online_store import Record, RecordKey

StaleWord = Literal["score", "score_without_history", "refuse"]
UnavailableWord = Literal["refuse", "score_without_history"]
Records = Mapping[RecordKey, Record]


@dataclass(frozen=True)
class HistoryPolicy:
    """``max_age``: None for no limit. ``stale``: what to do beyond it; ``unavailable``: without the online store."""

    max_age: timedelta | None = None
    stale: StaleWord = "score"
    unavailable: UnavailableWord = "refuse"

    def is_stale(self, as_of: datetime, at: datetime) -> bool:
        """Whether what stands for ``as_of`` is too old for a decision made ``at`` that time; both naive UTC."""
        return self.max_age is not None and at - as_of > self.max_age

    def fresh_enough(self, records: Records, at: datetime) -> Records:
        """Those that are not stale."""
        if self.max_age is None:
            return records
        return {key: record for key, record in records.items() if not self.is_stale(record.as_of, at)}


def oldest(records: Iterable[Record]) -> datetime | None:
    """The least recent time that these stand for."""
    return min((record.as_of for record in records), default=None)


def age_text(age: timedelta) -> str:
    """An age as people say it.

    >>> age_text(timedelta(hours=47)), age_text(timedelta(days=3, hours=5))
    ('47 hours', '3 days')
    """
    hours = age // timedelta(hours=1)
    return f"{hours:,} hours" if hours < 48 else f"{age.days:,} days"
