"""Inputs, features and reasons as the JSON text of the decision log; reading restores every bit.

API, batches and the replay all use it; :mod:`warehouse.decision_log.json_text` defines how values are written.
"""

import json
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from warehouse.decision_log.json_text import row_text
from warehouse.features.contract import FeatureContract


class ReasonCode(msgspec.Struct, frozen=True):
    """One reason against an application that was not approved; ``contribution`` is in log-odds of default."""

    feature: str
    text: str
    contribution: float


_ENCODER = msgspec.json.Encoder()
_REASONS = msgspec.json.Decoder(tuple[ReasonCode, ...])
_READERS: dict[str, Callable[[str], object]] = {
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
    "double": float,
    "float": float,
}


def load_inputs(text: str, contract: FeatureContract) -> dict[str, object]:
    """The inverse of :func:`warehouse.decision_log.json_text.dump_values`; the contract says which texts are times."""
    types = {column.name: column.data_type for column in contract.inputs}
    return {name: _typed(value, types.get(name, "varchar")) for name, value in json.loads(text).items()}


def dump_features(features: Sequence[object], contract: FeatureContract) -> str:
    """A feature vector in contract order, as an object by name."""
    return row_text(contract.feature_names)(features)


def load_features(text: str, contract: FeatureContract) -> tuple[object, ...]:
    """The inverse of :func:`dump_features`; raises KeyError if a feature of the contract is missing."""
    logged = json.loads(text)
    return tuple(_typed(logged[feature.name], feature.data_type) for feature in contract.features)


def dump_reasons(reasons: Iterable[ReasonCode]) -> str:
    """Reasons, weightiest first."""
    return _ENCODER.encode(list(reasons)).decode()


def load_reasons(text: str | None) -> tuple[ReasonCode, ...]:
    """The inverse of :func:`dump_reasons`; None gives no reasons."""
    return _REASONS.decode(text) if text else ()


def same_bits(offline: object, online: object) -> bool:
    """Whether two values have the same type and, for doubles, the same 64 bits; all NaN are equal.

    >>> same_bits(0.1 + 0.2, 0.3), same_bits(0.0, -0.0), same_bits(1, 1.0), same_bits(None, None)
    (False, False, False, True)
    """
    if isinstance(offline, float) and isinstance(online, float):
        if offline != offline or online != online:  # noqa: PLR0124  # NaN
            return offline != offline and online != online  # noqa: PLR0124
        return struct.pack("<d", offline) == struct.pack("<d", online)
    return type(offline) is type(online) and offline == online


def same_bits_by_row(offline: Sequence[object], online: Sequence[object]) -> NDArray[np.bool_]:
    """:func:`same_bits` of two columns of a feature, shape (n,).

    >>> same_bits_by_row([0.0, 1.5, None, float("nan")], [-0.0, 1.5, None, float("nan")]).tolist()
    [False, True, True, True]
    """
    types = list(map(type, offline))
    if types == list(map(type, online)):
        if float not in types:
            return np.fromiter(map(operator.eq, offline, online), dtype=np.bool_, count=len(types))
        if set(types) <= {float, type(None)}:
            # none becomes NaN, which hides nothing: none is beside none
            first, second = (np.array(values, dtype=np.float64) for values in (offline, online))
            same = first.view(np.int64) == second.view(np.int64)
            return np.asarray(same | (np.isnan(first) & np.isnan(second)), dtype=np.bool_)
    return np.fromiter(map(same_bits, offline, online), dtype=np.bool_, count=len(types))


def _typed(value: object, data_type: str) -> object:
    reader = _READERS.get(data_type)
    return reader(value) if reader is not None and isinstance(value, str) else value
