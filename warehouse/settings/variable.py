"""Environment variables, each declared once, as the annotation of the field that it sets.

>>> @dataclass(frozen=True)
... class Limits:
...     '''Limits of the writer.'''
...     wait_seconds: Annotated[float, Meta(gt=0), Variable("How long a writer waits.", unit="seconds")] = 120.0
>>> Limits(**read(Limits, {"LOANLAKE_WAIT_SECONDS": "30"}))
Limits(wait_seconds=30.0)
>>> read(Limits, {"LOANLAKE_WAIT_SECONDS": "soon"})
Traceback (most recent call last):
warehouse.errors.SettingError: LOANLAKE_WAIT_SECONDS must be a number of seconds above 0: found 'soon'
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from warehouse.errors import SettingError

#: In a URL: user:password@. In a connection string or a query: password=…, secret=…, token=…
_PASSWORD = re.compile(r"(?<=://)([^:@/\s]*):\S+@")
_SECRET = re.compile(r"((?:password|passwd|secret|token)\w*\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", re.IGNORECASE)
_MASK = "***"
_NOUNS = {int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class Variable:
    """One sentence on what a variable sets (``says``), and how to read its text.

    ``name``: default ``LOANLAKE_`` and the field's name. ``words``: allowed words and their values. ``noun``: what a
    number is, if not "a number of ``unit``". ``must``: the requirement, beyond type and range; ``hint``: further help
    after an error. ``otherwise``: the default in words, if it is not a plain value. ``parse`` replaces msgspec's
    reading, and raises ValueError. ``secret``: the value is never shown; passwords in other values are masked.
    """

    says: str
    name: str = ""
    unit: str = ""
    words: Mapping[str, Any] = field(default_factory=dict)
    noun: str = ""
    must: str = ""
    hint: str = ""
    otherwise: str = ""
    parse: Callable[[str], Any] | None = None
    secret: bool = False
    field: str = ""
    type: Any = str
    default: Any = None

    @property
    def required(self) -> str:
        """The requirement, for messages and the settings page."""
        if self.must:
            return self.must
        words = self.words or (get_args(self._plain) if get_origin(self._plain) is Literal else ())
        if words:
            return f"one of {', '.join(words)}"
        noun = self.noun or f"{_NOUNS.get(self._plain, 'a path')}{f' of {self.unit}' if self.unit else ''}"
        return noun + "".join(_range(meta) for meta in self._metas)

    def read(self, text: str) -> Any:
        """Parse a text; raises SettingError with the name, what is required and what was found."""
        try:
            if text in self.words or (self.words and not self.parse):
                return self.words[text]
            value = self.parse(text) if self.parse else msgspec.convert(text, self._kind, strict=False)
            if isinstance(value, float) and math.isinf(value):
                raise ValueError("infinite")
        except (ValueError, KeyError):
            hint = f"; {self.hint}" if self.hint else ""
            raise SettingError(f"{self.name} must be {self.required}: found {self._found(text)}{hint}") from None
        return value

    def shown(self, value: Any) -> str:
        """A value as text, without secrets."""
        if self.secret and value is not None:
            return _MASK
        for word, meant in self.words.items():
            if meant == value:
                return word
        if value is None or value == ():
            return "not set"
        if isinstance(value, tuple):
            return ",".join(value)
        if isinstance(value, timedelta):
            value = value / timedelta(hours=1)
        return f"{value:g}" if isinstance(value, float) else masked(str(value))

    @property
    def _plain(self) -> Any:
        plain = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        if get_origin(plain) in (UnionType, Union):
            plain = next(kind for kind in get_args(plain) if kind is not type(None))
        return plain

    @property
    def _kind(self) -> Any:
        # msgspec needs the range on the bounded type, not on "or None"
        return Annotated[(self._plain, *self._metas)] if self._metas else self._plain

    @property
    def _metas(self) -> list[Meta]:
        return [each for each in getattr(self.type, "__metadata__", ()) if isinstance(each, Meta)]

    def _found(self, text: str) -> str:
        if not self.secret:
            return repr(masked(text))
        # never the value: its length shows truncation, the part before the colon a wrong kind
        scheme, colon, _ = text.partition(":")
        return f"{scheme!r}" if colon else f"{len(text)} characters"


@cache
def declared(owner: type) -> tuple[Variable, ...]:
    """The variables declared by a dataclass, in order."""
    hints = get_type_hints(owner, include_extras=True)
    found = []
    for each in dataclasses.fields(owner):
        for variable in getattr(hints[each.name], "__metadata__", ()):
            if isinstance(variable, Variable):
                default = None if each.default is dataclasses.MISSING else each.default
                name = variable.name or f"LOANLAKE_{each.name.upper()}"
                hint = hints[each.name]
                found.append(dataclasses.replace(variable, name=name, field=each.name, type=hint, default=default))
    return tuple(found)


def read(owner: type, environment: Mapping[str, str]) -> dict[str, Any]:
    """The fields that the environment sets (an empty text sets none); raises SettingError with the variable's name."""
    return {
        variable.field: variable.read(text)
        for variable in declared(owner)
        if (text := environment.get(variable.name, ""))
    }


def listed(pattern: str) -> Callable[[str], tuple[str, ...]]:
    """A parser of lists separated by commas or spaces whose items match the pattern."""

    def parse(text: str) -> tuple[str, ...]:
        parts = tuple(dict.fromkeys(text.replace(",", " ").split()))
        if not all(re.fullmatch(pattern, part) for part in parts):
            raise ValueError(text)
        return parts

    return parse


def masked(text: str) -> str:
    """Mask the passwords in a text.

    >>> masked("rediss://:s3cret@cache.lender.example:6379/0")
    'rediss://:***@cache.lender.example:6379/0'
    >>> masked("postgres:host=db password='a b' dbname=lake")
    'postgres:host=db password=*** dbname=lake'
    """
    return _SECRET.sub(rf"\1{_MASK}", _PASSWORD.sub(rf"\1:{_MASK}@", text))


def _range(meta: Meta) -> str:
    if meta.min_length is not None:
        return f" of at least {meta.min_length} characters"
    if meta.ge is not None and meta.le is not None:
        return f" within {meta.ge:,}..{meta.le:,}"
    if meta.ge is not None:
        return f", at least {meta.ge:,}"
    return " above 0" + (f", at most {meta.le:,}" if meta.le is not None else "")
