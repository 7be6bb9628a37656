"""Check a JSON object against declared fields, and name every violation.

One msgspec struct holds the rules: a valid body is converted in one call; an invalid one is checked field by field with
the same types, so both always agree.
"""

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, get_args

import msgspec

from ml.decisions.problems import SHOWN_CHARACTERS, Violation, broken_rules, json_type, shown
from serving.http.problems import InvalidRequest
from warehouse.errors import FormatError

#: Unknown fields listed one by one, each with the nearest name: without a limit, a body of 3.6 MB of them blocked all
#: other requests for 25 s.
_MOST_UNKNOWN = 20
#: Refused rows of a batch that get suggested names: rows often share errors, and a search took 9 ms a row, checking
#: 0.2.
MOST_SUGGESTED = 10
_NOT_A_FIELD = "is not a field of this request"


@dataclass(frozen=True)
class Field:
    """One field of a body: ``type`` is a msgspec type with its constraints, ``rule`` the same in words.

    ``reads``: converts such a value; None means no value; raises FormatError.
    """

    name: str
    type: Any
    rule: str
    required: bool = True
    description: str = ""
    example: Any = None
    reads: Callable[[Any], Any] | None = None

    @property
    def accepted(self) -> Any:
        """The msgspec type, with null if the field is optional."""
        return self.type if self.required else self.type | None


class BodySchema:
    """The allowed and required fields of a body."""

    def __init__(self, name: str, fields: tuple[Field, ...]):
        self.name = name
        self.fields = {field.name: field for field in fields}
        self.struct = msgspec.defstruct(
            name,
            [
                (field.name, field.accepted) if field.required else (field.name, field.accepted, None)
                for field in fields
            ],
            forbid_unknown_fields=True,
            frozen=True,
            kw_only=True,
        )
        self._times = tuple(field.name for field in fields if _is_of(datetime, field.type))
        self._dated = (*self._times, *(field.name for field in fields if _is_of(date, field.type)))
        self._read = tuple((field, field.reads) for field in fields if field.reads is not None)
        self._whole = frozenset(field.name for field in fields if _is_of(int, field.type))

    def validate(self, body: Any, *, suggests: bool = True) -> dict[str, Any]:
        """The fields in their Python types, None for a missing one, times in naive UTC.

        Raises InvalidRequest with all violations; ``suggests``: suggest names for unknown fields.
        """
        try:
            found = msgspec.convert(body, self.struct)
        except msgspec.ValidationError:
            found = self._converted_whole(body, suggests=suggests)
        values = msgspec.structs.asdict(found)
        for name in self._times:
            values[name] = naive_utc(values[name])
        broken = [self.fields[name] for name in self._dated if _ends_early(body.get(name))]
        for field, reads in self._read:
            value = values[field.name]
            if value is None:
                continue
            try:
                values[field.name] = read = reads(value)
            except FormatError:
                broken.append(field)
            else:
                if read is None and field.required:
                    broken.append(field)
        if broken:
            raise self._refusal(body, suggests=suggests)
        return values

    def example(self) -> dict[str, Any]:
        """A valid body, as far as the fields have examples."""
        return {field.name: field.example for field in self.fields.values() if field.example is not None}

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the body, with descriptions and an example, for OpenAPI."""
        schema: dict[str, Any] = msgspec.json.schema_components([self.struct], ref_template="#/{name}")[1][self.name]
        for name, field in self.fields.items():
            documented: dict[str, Any] = {
                "description": f"{field.description} {field.rule[0].upper()}{field.rule[1:]}.".strip()
            }
            if field.example is not None:
                documented["examples"] = [field.example]
            schema["properties"][name] |= documented
        return schema | {"examples": [self.example()]}

    def _converted_whole(self, body: Any, *, suggests: bool) -> Any:
        """The struct of a body that writes 36 as 36.0: JSON has one kind of number."""
        if isinstance(body, dict):
            body = {name: _whole(value) if name in self._whole else value for name, value in body.items()}
        try:
            return msgspec.convert(body, self.struct)
        except msgspec.ValidationError:
            raise self._refusal(body, suggests=suggests) from None

    def _refusal(self, body: Any, *, suggests: bool) -> InvalidRequest:
        if not isinstance(body, dict):
            return InvalidRequest(f"The body must be a JSON object: found {json_type(body)}")
        violations = []
        for field in self.fields.values():
            if field.name not in body:
                if field.required:
                    violations.append(Violation(field=field.name, rule=f"is required: {field.rule}"))
                continue
            rule = _broken_rule(field, body[field.name])
            if rule is not None:
                violations.append(Violation(field=field.name, rule=rule, found=shown(body[field.name])))
        return invalid((*violations, *unknown_fields(body, self.fields, suggests=suggests)))


def _broken_rule(field: Field, value: Any) -> str | None:
    """The rule that a field's value breaks, or None."""
    or_null = "" if field.required else ", or null"
    try:
        found = msgspec.convert(value, field.accepted)
    except msgspec.ValidationError:
        return f"must be {field.rule}{or_null}"
    if _ends_early(value) and isinstance(found, date):
        return f"must be {field.rule}{or_null}"
    if field.reads is None or found is None:
        return None
    try:
        read = field.reads(naive_utc(found) if isinstance(found, datetime) else found)
    except FormatError as error:
        return f"must be {error}{or_null}"
    return f"is required: {field.rule}" if read is None and field.required else None


def _ends_early(value: Any) -> bool:
    """Whether a text holds a NUL: msgspec reads a time only up to there."""
    return isinstance(value, str) and "\0" in value


def invalid(violations: tuple[Violation, ...]) -> InvalidRequest:
    """The problem that lists these violations."""
    return InvalidRequest(broken_rules(violations, of="body"), violations)


def unknown_fields(body: Mapping[str, Any], fields: Collection[str], *, suggests: bool = True) -> tuple[Violation, ...]:
    """A violation for each unknown name; of many, the last gives the number of others."""
    unknown = [name for name in body if name not in fields]
    told = [
        Violation(
            field=shown(name),
            rule=_NOT_A_FIELD + (_suggestion(name, fields) if suggests else ""),
            found=shown(body[name]),
        )
        for name in unknown[:_MOST_UNKNOWN]
    ]
    if len(unknown) > _MOST_UNKNOWN:
        rule = f"{_NOT_A_FIELD}, nor are {len(unknown) - _MOST_UNKNOWN:,} more"
        told[-1] = msgspec.structs.replace(told[-1], rule=rule)
    return tuple(told)


def not_a_field(name: str, fields: Collection[str], *, of: str) -> Violation:
    """The violation of an unknown name, with the nearest field."""
    return Violation(field=shown(name), rule=f"is not a {of}{_suggestion(name, fields)}")


def _suggestion(name: str, fields: Collection[str]) -> str:
    """The field that an unknown name may mean."""
    nearest = difflib.get_close_matches(name[:SHOWN_CHARACTERS], list(fields), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _is_of(kind: type, accepted: Any) -> bool:
    return kind in (accepted, *get_args(accepted))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def naive_utc(time: datetime | None) -> datetime | None:
    """A time as in the lake; without an offset it is UTC."""
    if time is None or time.tzinfo is None:
        return time
    try:
        return time.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # an hour of the year 1 or 9999; any bound refuses both readings
        return time.replace(tzinfo=None)
