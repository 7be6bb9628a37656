"""How old history and cohorts may be, and what happens to a score if they are older or unavailable.

Age is the decision's time minus the record's ``as_of``: by the server's clock in live use, by ``decided_at`` where a
caller gives it. History of a source that ends in the past, such as a historical file, is old for a decision of today
and fresh for a decision dated into its own time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from warehouse.decision_log import HistoryWord
from warehouse.errors import LoanlakeError
from warehouse.online_store import Record, RecordKey
from warehouse.settings import Variable

#: History beyond this age is stale, unless the lender sets another limit or none. Statements are monthly, and a file
#: may come late; older than two months, one was missed.
USUAL_MAX_AGE = timedelta(days=62)
#: A century: a greater number is probably in another unit.
_MOST_HOURS = 876_000
StaleWord = Literal["score", "score_without_history", "refuse"]
UnavailableWord = Literal["refuse", "score_without_history"]
Records = Mapping[RecordKey, Record]


class HistoryTooOld(LoanlakeError):
    """The online store's records are older than the lender allows for a score."""


class BeforeItsHistory(LoanlakeError):
    """A decision is dated before its applicant's history: the score would see the future."""


class Found(msgspec.Struct, frozen=True):
    """The records that were found, and the outcome of the look-up as a whole."""

    records: Records
    history: HistoryWord


def _age(text: str) -> timedelta:
    hours = float(text)
    if not 0 < hours <= _MOST_HOURS:
        raise ValueError(text)
    return timedelta(hours=hours)


@dataclass(frozen=True)
class HistoryPolicy:
    """How old history may be, and what happens then."""

    max_age: Annotated[
        timedelta | None,
        Variable(
            "Age beyond which history is stale; `none` for no limit.",
            "LOANLAKE_HISTORY_MAX_AGE_HOURS",
            unit="hours",
            words={"none": None},
            must=f"a number of hours above 0, at most {_MOST_HOURS:,}, or none",
            parse=_age,
        ),
    ] = USUAL_MAX_AGE
    stale: Annotated[StaleWord, Variable("What to do with stale history.", "LOANLAKE_STALE_HISTORY")] = "score"
    unavailable: Annotated[
        UnavailableWord, Variable("What to do while the online store does not answer.", "LOANLAKE_UNAVAILABLE_HISTORY")
    ] = "refuse"

    def is_stale(self, as_of: datetime, at: datetime) -> bool:
        """Whether a record ``as_of`` is too old for a decision ``at`` that time; both naive UTC."""
        return self.max_age is not None and at - as_of > self.max_age

    def allowed(self, found: Found, keys: Collection[RecordKey], at: datetime, *, is_given: bool) -> Found:
        """The records of ``keys`` that a decision ``at`` that time, naive UTC, may use, with their status.

        Raises HistoryTooOld where the policy refuses, and BeforeItsHistory where the caller's own time (``is_given``)
        lies before the records.
        """
        records = {key: found.records[key] for key in keys if key in found.records}
        allowed = self._of_age(Found(records, found.history if keys else "fresh"), at)
        newest = max([record.as_of for record in allowed.records.values()], default=at) if is_given else at
        if newest > at:
            raise BeforeItsHistory(f"must not be before the history used, which is as of {newest.isoformat()}Z")
        return allowed

    def _of_age(self, found: Found, at: datetime) -> Found:
        records = found.records
        if self.max_age is None:
            return found
        if not records or min([record.as_of for record in records.values()]) >= at - self.max_age:
            return found
        if self.stale == "score":
            return Found(records, "stale")
        if self.stale == "score_without_history":
            fresh = {key: record for key, record in records.items() if not self.is_stale(record.as_of, at)}
            return Found(fresh, "left_out")
        as_of = min(record.as_of for record in records.values())
        raise HistoryTooOld(
            f"History is as of {as_of.isoformat()}Z, {age_text(at - as_of)} before this decision; "
            f"the limit here is {age_text(self.max_age)}"
        )


def age_text(age: timedelta) -> str:
    """An age in words.

    >>> age_text(timedelta(hours=47)), age_text(timedelta(days=3, hours=5))
    ('47 hours', '3 days')
    """
    hours = age // timedelta(hours=1)
    return f"{hours:,} hours" if hours < 48 else f"{age.days:,} days"
