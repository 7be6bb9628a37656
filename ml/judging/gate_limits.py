"""A lender's limits; the gates declare names and defaults."""

import difflib
from typing import Any

from ml.judging.gate import GateLimits, Limit
from ml.judging.gates import GATES
from warehouse.errors import SettingError
from warehouse.lenders.lender import Lender, MovedLimit

_LIMITS: dict[str, Limit[Any]] = {limit.name: limit for gate in GATES for limit in gate.limits}


def limits_of(lender: Lender) -> GateLimits:
    """The lender's limits; raises SettingError for one that is unknown or has a value outside its range."""
    return GateLimits(
        values={name: _value(lender, name, moved) for name, moved in lender.gates.items()},
        moved={name: moved.reason for name, moved in lender.gates.items()},
        honest_features=dict(lender.honest_features),
    )


def plain_limits(limits: GateLimits) -> dict[str, Any]:
    """Every limit and its value after JSON: equal dictionaries mean equal decisions."""
    values = {name: limits[limit] for name, limit in _LIMITS.items()}
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()},
        "moved": dict(limits.moved),
        "honest_features": dict(limits.honest_features),
    }


def _value(lender: Lender, name: str, moved: MovedLimit) -> int | float | tuple[float, float]:
    where, limit, found = f"{lender.path}: gates.{name}", _LIMITS.get(name), moved.limit
    if limit is None:
        near = difflib.get_close_matches(name, _LIMITS, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise SettingError(f"{where} must be a limit of ml/judging/gates.py; {meant}known are {', '.join(_LIMITS)}")
    if not limit.holds(found):
        raise SettingError(f"{where}.limit {limit.rule}: found {found}")
    return int(found) if isinstance(limit.default, int) and isinstance(found, float) else found
