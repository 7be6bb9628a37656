"""Problems of an application in RFC 9457's members: the same words in an answer and in a batch's row."""

import json
import math
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec

TYPE = "urn:loanlake:problem:"
_MOST_NAMED = 5
#: Characters of a found value that a violation shows.
SHOWN_CHARACTERS = 100
_SHOWN_MEMBERS = 20


class Violation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One broken rule: ``found`` is the value as sent (long values shortened), absent where nothing was sent."""

    field: str
    rule: str
    found: Any = msgspec.UNSET


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of RFC 9457, ``errors`` for an invalid body, and ``scope`` for a missing scope."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[Violation, ...] = ()
    scope: str = ""
    incident: str = ""

    def to_json(self) -> str:
        """JSON text, as in results and the lake."""
        return msgspec.json.encode(self).decode()


class ProblemKind(NamedTuple):
    """The members that all problems of a kind share."""

    status: int
    name: str
    heading: str

    @property
    def type(self) -> str:
        """The URN that names the kind."""
        return TYPE + self.name

    def document(self, detail: str, errors: Sequence[Violation] = ()) -> ProblemDocument:
        """One problem of this kind."""
        return ProblemDocument(self.type, self.heading, self.status, detail, tuple(errors))


INVALID = ProblemKind(400, "invalid-request", "Invalid request")
NOT_SCORABLE = ProblemKind(422, "not-scorable", "No score can be computed from these values")
STALE_HISTORY = ProblemKind(503, "stale-history", "The applicant's history is too old")


def broken_rules(violations: Sequence[Violation], *, of: str) -> str:
    """The detail for violations of the fields ``of`` something.

    >>> broken_rules([Violation("term_months", "is required")], of="row")
    "1 of the row's fields break their rules: term_months"
    """
    names = ", ".join(violation.field for violation in violations[:_MOST_NAMED])
    more = f" and {len(violations) - _MOST_NAMED} more" if len(violations) > _MOST_NAMED else ""
    return f"{len(violations)} of the {of}'s fields break their rules: {names}{more}"


def shown(value: Any) -> Any:
    """The value as sent, for JSON: objects, times, infinities and long values become a short text."""
    if isinstance(value, str):
        return value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | dict) and len(value) > _SHOWN_MEMBERS:
        return f"{json_type(value)} of {len(value)}"
    return shown(_digits(value) if isinstance(value, int) else _text_of(value))


def _text_of(value: Any) -> str:
    if isinstance(value, date):  # as read from CSV
        return value.isoformat()
    if not isinstance(value, dict | list | float):
        return str(value)
    try:
        return json.dumps(value)
    except RecursionError:  # nested as deeply as could just be decoded
        return json_type(value)


def _digits(value: int) -> str:
    # str() of a huge integer is refused beyond 4,300 digits, and slow before
    return str(value) if value.bit_length() < 512 else f"an integer of {value.bit_length()} bits"


def json_type(value: Any) -> str:
    """JSON's name of a value's type, with its article."""
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
