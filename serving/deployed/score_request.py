"""The body of a score request, derived from the deployed feature contract."""

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from serving.http.body_schema import BodySchema, Field
from warehouse.errors import ContractError, FormatError
from warehouse.features.columns import InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.values.formats import BLANKS, GREATEST, MOST_CHARACTERS, UNFIT, read_id, read_text


def _escaped(characters: str) -> str:
    """Characters escaped for regular expressions of Python and JSON Schema."""
    return "".join(each if each.isascii() else f"\\u{ord(each):04x}" for each in characters)


_BLANK, _UNFIT = _escaped(BLANKS), _escaped(UNFIT)
#: Visible characters, perhaps with blanks around; :func:`read_id` and :func:`read_text` check it. The look-ahead makes
#: ``$`` the very end, since it would allow a line feed.
_VISIBLE = f"[^{_UNFIT}{_BLANK}](?:[^{_UNFIT}]{{0,{MOST_CHARACTERS - 2}}}[^{_UNFIT}{_BLANK}])?"
_Identifier = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^[{_BLANK}]*{_VISIBLE}[{_BLANK}]*$(?!\\n)"})]
#: A blank text stands for a missing id, as in files.
_MaybeIdentifier = Annotated[
    str, msgspec.Meta(extra_json_schema={"pattern": f"^[{_BLANK}]*(?:{_VISIBLE}[{_BLANK}]*)?$(?!\\n)"})
]
_IDENTIFIER_RULE = "a text of 1 to 100 characters without control characters"
_WHOLE_TYPES = {"integer", "bigint", "smallint"}
_DECIMAL_TYPES = {"double", "float"}
_FIRST_YEAR = 1900
TIME_RULE = "a time such as 2026-01-31T09:30:00Z (UTC where no offset is given)"
Time = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
_PLAIN_TYPES: dict[str, tuple[Any, str]] = {
    "boolean": (bool, "true or false"),
    "varchar": (_Identifier, _IDENTIFIER_RULE),
    "date": (date, "a date such as 2026-01-31"),
    "timestamp": (Time, TIME_RULE),
}

APPLICATION_ID = Field(
    name="application_id",
    type=_Identifier,
    rule=_IDENTIFIER_RULE,
    reads=read_id,
    description="The lender's id of the application; it joins outcomes to decisions.",
    example="app-2026-000123",
)
_BORROWER_ID = Field(
    name="borrower_id",
    type=_MaybeIdentifier,
    rule=_IDENTIFIER_RULE,
    reads=read_id,
    required=False,
    description="The borrower whose history is used. If missing, blank or unknown, the score is made without history.",
    example="borrower-42",
)


def since_1900(day: date) -> date:
    """The day or time; raises FormatError before 1900, a likely typing error, as in files."""
    if day.year < _FIRST_YEAR:
        raise FormatError(f"a date or time since {_FIRST_YEAR}-01-01")
    return day


DECIDED_AT = Field(
    name="decided_at",
    type=Time,
    rule=TIME_RULE,
    reads=since_1900,
    required=False,
    description="Time of the decision; the server's clock by default. Neither in the future nor before the "
    "history that would be used.",
)


#: Fields of every score request.
ALWAYS = frozenset({APPLICATION_ID.name, _BORROWER_ID.name, DECIDED_AT.name})


def _past_day(day: date) -> date:
    """A date no later than tomorrow, as in files; raises FormatError."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    if day.year < _FIRST_YEAR or (day.date() if isinstance(day, datetime) else day) > tomorrow:
        raise FormatError(f"a date between {_FIRST_YEAR}-01-01 and tomorrow")
    return day


_READERS: dict[str, Callable[[Any], Any]] = {"varchar": read_text, "date": _past_day, "timestamp": _past_day}


def score_request_schema(contract: FeatureContract, *, required: Collection[str] = ()) -> BodySchema:
    """The fields of one application: its ids, and the contract's inputs of origin ``request``.

    ``required``: fields that the lender's file also requires. Raises ContractError if one is unknown.
    """
    fields = (APPLICATION_ID, _BORROWER_ID, DECIDED_AT, *(_field(column) for column in contract.inputs_of("request")))
    unknown = sorted(set(required) - {field.name for field in fields})
    if unknown:
        raise ContractError(
            "request.required in the lender's file (warehouse/lenders/) must name fields of a score request: found "
            f"{', '.join(unknown)}, and features {contract.version} read {', '.join(field.name for field in fields)}"
        )
    return BodySchema(
        "ScoreRequest", tuple(replace(each, required=True) if each.name in required else each for each in fields)
    )


def application_list_schema(most_rows: int, or_else: str = "") -> BodySchema:
    """A list of applications, which are validated one by one, so that a bad one affects no other.

    ``or_else``: what the body may hold instead, in words.
    """
    rule = f"a list of 1 to {most_rows} applications{or_else}"
    accepted = Annotated[list[Any], msgspec.Meta(min_length=1, max_length=most_rows)]
    return BodySchema("ScoreListRequest", (Field(name="applications", type=accepted, rule=rule),))


def _field(column: InputColumn) -> Field:
    accepted, rule = _type_and_rule(column)
    return Field(
        name=column.name,
        type=accepted,
        rule=rule,
        reads=None if column.values else _READERS.get(column.data_type),
        required=column.required,
        description=column.description,
        example=column.example,
    )


def _type_and_rule(column: InputColumn) -> tuple[Any, str]:
    if column.data_type in _DECIMAL_TYPES:
        low, high = column.range or (-math.inf, math.inf)
        # JSON has no infinity, but 1e999 reads as one
        bounds = msgspec.Meta(ge=max(low, -GREATEST), le=min(high, GREATEST))
        return Annotated[float, bounds], f"a number{_within(column)}"
    if column.data_type in _WHOLE_TYPES:
        low, high = column.range or (-(2**31), 2**31 - 1)
        return Annotated[int, msgspec.Meta(ge=math.ceil(low), le=math.floor(high))], f"a whole number{_within(column)}"
    if column.data_type == "varchar" and column.values:
        return Literal[column.values], f"one of {', '.join(column.values)}"
    if column.data_type in _PLAIN_TYPES:
        return _PLAIN_TYPES[column.data_type]
    raise ContractError(f"the request input {column.name} has the type {column.data_type}, which JSON cannot carry")


def _within(column: InputColumn) -> str:
    if column.range is None:
        return ""
    low, high = (f"{bound:,.10g}" for bound in column.range)
    return f" from {low} to {high}"
