"""A family from the settings that a person wrote, in the lender's file or at the command line."""

from collections.abc import Mapping
from inspect import signature
from math import isfinite
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from ml.families.protocol import Family
from warehouse.errors import SettingError

#: The libraries keep whole numbers in 32 bits.
_LARGEST = 2**31 - 1
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", NoneType: "null"}


def configured(kind: type[Family], given: Mapping[str, Any], where: str) -> Family:
    """A family with these settings; the others have their defaults.

    Raises SettingError for a setting that it does not have, or that cannot have this value, found at ``where`` + name.
    """
    known = list(signature(kind).parameters)
    for setting, value in given.items():
        if setting not in known:
            raise SettingError(f"{where}{setting} must be a setting of {kind.name}: known are {', '.join(known)}")
        # NaN is above and below no limit, so no rule of a family would find it
        if isinstance(value, float) and not isfinite(value):
            raise SettingError(f"{where}{setting} must be a finite number: found {value}")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise SettingError(f"{where}{setting} must be a number of at most {_LARGEST:,}: found {value}")
        wanted = get_type_hints(kind)[setting]
        try:
            # its kind alone: a limit may depend on another setting that is given too
            msgspec.convert(value, wanted)
        except msgspec.ValidationError:
            raise SettingError(f"{where}{setting} must be {_in_words(wanted)}: found {value!r}") from None
    try:
        return msgspec.convert(dict(given), kind)
    except SettingError as error:
        names_it = str(error).split(" ", 1)[0] in known
        raise SettingError(f"{where}{error}" if names_it else f"{where.rstrip(' .')}: {error}") from None


def _in_words(hint: Any) -> str:
    if hint in _WORDS:
        return _WORDS[hint]
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is tuple:
        return "a list such as [xgboost, logistic]"
    return " or ".join(map(_in_words, get_args(hint)))
