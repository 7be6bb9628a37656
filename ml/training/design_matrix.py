"""Encode the contract's features as numbers: one definition for training, batches and single requests.

Numeric features keep their value, booleans become 0 and 1, a categorical feature becomes one column per listed value.
Missing is NaN; trees learn its direction, a logistic regression its term. An unlisted category or a number beyond
float32 counts as missing; the contract's checks refuse both earlier.
"""

import math
import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Matrix
from warehouse.errors import ContractError
from warehouse.features.columns import Kind, Monotone
from warehouse.features.contract import FeatureContract
from warehouse.lenders.family_names import FAMILY_NAMES

if TYPE_CHECKING:  # the request path encodes rows without pandas
    import pandas as pd
    import pyarrow as pa

_FLOAT32_MAX = float(np.finfo(np.float32).max)
#: Rows transposed at a time: a block of 2,048 stays in the processor's cache.
_BLOCK_ROWS = 2048
_DIRECTION: dict[Monotone, int] = {"increasing": 1, "decreasing": -1, "none": 0}


@dataclass(frozen=True)
class EncodedFeature:
    """A feature that the model reads; ``position`` is its place in the contract's feature vector."""

    name: str
    position: int
    kind: Kind
    monotone: Monotone = "none"
    values: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Its matrix columns: ``name``, or ``name=value`` for each value."""
        return tuple(f"{self.name}={value}" for value in self.values) if self.kind == "categorical" else (self.name,)


@dataclass(frozen=True)
class DesignMatrix:
    """How a feature vector becomes a row of the model's matrix.

    ``contract_features``: all features of the contract in order, as :meth:`encode_row` accepts them, also those that
    the model leaves out.
    """

    contract_features: tuple[str, ...]
    features: tuple[EncodedFeature, ...]

    @classmethod
    def from_contract(cls, contract: FeatureContract, exclude: Collection[str] = ()) -> Self:
        """All features not in ``exclude``; raises ContractError for an unknown name, or if none is left."""
        require_features(contract, exclude)
        features = tuple(
            EncodedFeature(
                name=feature.name,
                position=position,
                kind=feature.kind,
                # a category's column has no direction of risk
                monotone="none" if feature.kind == "categorical" else feature.monotone,
                values=(feature.values or ()) if feature.kind == "categorical" else (),
            )
            for position, feature in enumerate(contract.features)
            if feature.name not in exclude
        )
        if not features:
            raise ContractError(f"a model needs at least one feature: all {len(contract.features)} are excluded")
        return cls(contract.feature_names, features)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The features the model reads, in contract order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Column names, in matrix order."""
        return tuple(column for feature in self.features for column in feature.columns)

    @cached_property
    def feature_of_column(self) -> tuple[str, ...]:
        """For each column the feature it encodes."""
        return tuple(feature.name for feature in self.features for _ in feature.columns)

    @cached_property
    def monotone_constraints(self) -> tuple[int, ...]:
        """For each column: 1 if risk may only rise with the value, -1 if it may only fall, 0 if free."""
        return tuple(_DIRECTION[feature.monotone] for feature in self.features for _ in feature.columns)

    def encode(self, frame: "pd.DataFrame") -> Matrix:
        """Rows of a feature table as a matrix; ignores other columns. Raises ContractError naming missing columns."""
        import pandas as pd

        missing = [name for name in self.feature_names if name not in frame.columns]
        if missing:
            raise ContractError(
                f"the frame must have every feature the model reads: it lacks {len(missing)} of "
                f"{len(self.features)} ({', '.join(missing[:5])}{', …' if len(missing) > 5 else ''})"
            )
        matrix = np.full((len(frame), len(self.columns)), np.nan, dtype=np.float32, order="C")
        column = 0
        for feature in self.features:
            if feature.kind == "categorical":
                codes = pd.Categorical(frame[feature.name], categories=list(feature.values)).codes.astype(np.intp)
                known = codes >= 0
                block = matrix[:, column : column + len(feature.values)]
                block[known] = 0.0
                block[known, codes[known]] = 1.0
            else:
                # through float64 also for integers, as the row path does: straight to float32 would round differently
                numbers = frame[feature.name].to_numpy(dtype=np.float64, na_value=np.nan)
                matrix[:, column] = np.where(np.abs(numbers) <= _FLOAT32_MAX, numbers, np.nan)
            column += len(feature.columns)
        return matrix

    def encode_batch(self, batch: "pa.RecordBatch") -> Matrix:
        """Rows of a feature table in Arrow, typed as in the contract; ignores other columns.

        Equal to :meth:`encode` to the bit, in a fifth of the time: no Python objects or float64 copies. Raises KeyError
        if a column is missing.
        """
        columns: list[NDArray[np.float32]] = []
        for feature in self.features:
            values = batch.column(feature.name)
            columns += _one_hot(values, feature.values) if feature.kind == "categorical" else [_float32(values)]
        matrix = np.empty((batch.num_rows, len(columns)), dtype=np.float32)
        for begin in range(0, batch.num_rows, _BLOCK_ROWS):
            block = matrix[begin : begin + _BLOCK_ROWS]
            for number, column in enumerate(columns):
                block[:, number] = column[begin : begin + _BLOCK_ROWS]
        return matrix

    def encode_row(self, values: Sequence[object]) -> Matrix:
        """One feature vector, in contract order with None for missing, as a matrix of one row.

        Equal to :meth:`encode` to the bit. Raises ContractError if the vector has another length.
        """
        if len(values) != len(self.contract_features):
            raise ContractError(
                f"a feature vector must have {len(self.contract_features)} values, one for each feature: "
                f"found {len(values)}"
            )
        return np.frombuffer(bytearray(self._packed(values)), dtype=np.float32).reshape(1, -1)

    @cached_property
    def _packed(self) -> Callable[[Sequence[object]], bytes]:
        """A vector's row as bytes: one expression for each feature, in half the time of a loop over them."""
        runtime: dict[str, object] = {
            "pack": struct.Struct(f"{len(self.columns)}f").pack,
            "nan": math.nan,
            "most": _FLOAT32_MAX,
        }
        parts = []
        for number, feature in enumerate(self.features):
            value = f"v{feature.position}"
            if feature.kind != "categorical":
                parts.append(f"{value} if {value} is not None and -most <= {value} <= most else nan")
                continue
            runtime[f"codes{number}"] = {
                each: tuple(float(each == other) for other in feature.values) for each in feature.values
            }
            runtime[f"missing{number}"] = (math.nan,) * len(feature.values)
            parts.append(f"*codes{number}.get({value}, missing{number})")
        unpacked = ", ".join(f"v{position}" for position in range(len(self.contract_features)))
        source = f"def packed(values):\n    {unpacked}, = values\n    return pack({', '.join(parts)})"
        exec(source, runtime)  # noqa: S102  # places and numbered constants, never a name of a column
        packed: Callable[[Sequence[object]], bytes] = runtime["packed"]  # type: ignore[assignment]  # defined there
        return packed


def require_features(contract: FeatureContract, exclude: Collection[str]) -> None:
    """Raise ContractError if a name to exclude is not a feature; one of a family of models is called that."""
    unknown = sorted(set(exclude) - set(contract.feature_names))
    if not unknown:
        return
    named = [f"{name}, a family of models" if name in FAMILY_NAMES else name for name in unknown]
    raise ContractError(
        f"features to exclude must be features of the contract {contract.version}: found {', '.join(named)}; "
        f"it has {', '.join(contract.feature_names)}"
    )


def is_within_float32(values: "pa.Array") -> bool:
    """Whether no number of a column of doubles or floats is beyond float32, or NaN; False also where one may be.

    Takes a third of the time of a look at each value: it reads what stands where a value is missing, too.
    """
    return not len(values) or _is_within(_as_in_memory(values))


def _is_within(data: NDArray[np.floating]) -> bool:
    return bool(data.min() >= -_FLOAT32_MAX and data.max() <= _FLOAT32_MAX)


def _as_in_memory(values: "pa.Array") -> NDArray[Any]:
    """What stands where a value is missing is any number."""
    width = values.type.bit_width // 8
    return np.frombuffer(values.buffers()[1], values.type.to_pandas_dtype(), len(values), values.offset * width)


def _float32(values: "pa.Array") -> NDArray[np.float32]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(values):
        return np.empty(0, np.float32)
    if pa.types.is_boolean(values.type):
        values = pc.cast(values, pa.uint8())
    data = _as_in_memory(values)
    if data.dtype == np.int64:
        data = data.astype(np.float64)  # as the row path does: straight to float32 would round differently
    beyond: NDArray[np.intp] | None = None
    if data.dtype.kind == "f" and not _is_within(data):
        beyond = np.flatnonzero(~(np.abs(data) <= _FLOAT32_MAX))
    with np.errstate(over="ignore", invalid="ignore"):
        numbers: NDArray[np.float32] = data.astype(np.float32)
    if beyond is not None:
        numbers[beyond] = np.nan
    if values.null_count:
        bits = np.frombuffer(values.buffers()[0], np.uint8)
        is_there = np.unpackbits(bits, count=values.offset + len(values), bitorder="little")[values.offset :]
        numbers[is_there == 0] = np.nan
    return numbers


def _one_hot(values: "pa.Array", known: tuple[str, ...]) -> list[NDArray[np.float32]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.fill_null(pc.index_in(values, value_set=pa.array(known, pa.string())), len(known))
    # one line more than values, for what is missing or none of them
    lines = np.vstack([np.eye(len(known)), np.full(len(known), np.nan)]).astype(np.float32)
    return list(np.ascontiguousarray(lines.T)[:, codes.to_numpy(zero_copy_only=False)])
