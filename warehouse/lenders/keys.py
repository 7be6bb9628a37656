"""Settings of a YAML mapping, read into a dataclass; every message has the file, the key, what is required and found.

A field says its requirement by :class:`Key`; a field that is a dataclass, or a mapping of them, is read the same way.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from warehouse.errors import SettingError

T = TypeVar("T")


@dataclass(frozen=True)
class Key:
    """``must`` follows the words "must be" or begins with another verb; ``says``: the sentence of the docs."""

    must: str
    says: str

    @property
    def rule(self) -> str:
        """The requirement, from the word "must" on."""
        return f"must {self.must}" if self.must.split()[0] in ("say", "name", "hold") else f"must be {self.must}"


def read_keys(kind: type[T], value: Any, where: str, **given: Any) -> T:
    """A dataclass from a mapping; ``given``: fields that are not keys. Raises SettingError."""
    keys = mapping(value, where, key_names(kind, given))
    hints = get_type_hints(kind, include_extras=True)
    fields = dict(given)
    for name in keys:
        if keys[name] is None and _holds_keys(hints[name]):
            continue
        fields[name] = _field(hints[name], keys[name], f"{_of(where)}{name}")
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass
        is_needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_needed and field.name not in fields:
            raise SettingError(f"{where}.{field.name} {_key(hints[field.name]).rule}: found nothing")
    try:
        return kind(**fields)
    except ValueError as error:
        raise SettingError(f"{_of(where)}{error}") from None


def key_names(kind: type, given: Iterable[str] = ()) -> tuple[str, ...]:
    """The keys of a dataclass, in order."""
    return tuple(field.name for field in dataclasses.fields(kind) if field.name not in given)


def mapping(value: Any, where: str, known: Iterable[str] | None = None) -> dict[str, Any]:
    """The value as a mapping by names; raises SettingError for anything else and for names that are not ``known``."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SettingError(f"{where} must hold names with values: found {value!r}")
    known = None if known is None else tuple(known)
    for key in value:
        if known is not None and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f", did you mean {near[0]}?" if near else ";"
            raise SettingError(f"{where} has an unknown key: found {key}{meant} known are {', '.join(known)}")
    return value


def _field(hint: Any, value: Any, where: str) -> Any:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if (nested := holds(plain)) is not None:
        return read_keys(nested, value, where)
    if get_origin(plain) is Mapping:
        items = mapping(value, where)
        return {name: _field(get_args(plain)[1], item, f"{where}.{name}") for name, item in items.items()}
    refusal = f"{where} {_key(hint).rule}: found {value!r}"
    try:
        found = msgspec.convert(value, hint)
    except msgspec.ValidationError:
        raise SettingError(refusal) from None
    # NaN is beyond no bound
    if not all(map(isfinite, _floats(found))):
        raise SettingError(refusal)
    return found


def _floats(value: Any) -> Iterator[float]:
    for each in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(each, float):
            yield each


def holds(plain: Any) -> type | None:
    """The dataclass that a field of this type holds, or None."""
    kinds = get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)
    return next((kind for kind in kinds if dataclasses.is_dataclass(kind) and isinstance(kind, type)), None)


def _holds_keys(hint: Any) -> bool:
    """Whether an empty value means that the key is absent."""
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return holds(plain) is not None or get_origin(plain) is Mapping


def _key(hint: Any) -> Key:
    found = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Key)]
    return found[0] if found else Key("a value", "")


def _of(where: str) -> str:
    """What stands before a key of a file, or of another key."""
    return f"{where}: " if where.endswith(".yml") else f"{where}."
