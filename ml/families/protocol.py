"""The interface of a family of models: learn, score, write into a bundle, read from it.

A family is a frozen dataclass of settings; fitting gives a model. A bundle holds the model in the library's format, for
blocks of rows, and in a served form, which scores and explains one row in microseconds and imports no heavy library.
Both give the same bits, or scores within the bound that the family states; a gate on every promotion checks it. A model
that needs no heavy library has one form for both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

#: Rows × columns, float32, as XGBoost and ONNX Runtime compute; NaN is missing.
Matrix = NDArray[np.float32]
#: Rows encoded at a time if not all fit into memory: about 130 MB with 64 columns.
BATCH_ROWS = 500_000


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: the matrix (n, n_columns), the outcomes (n,), and weights (n,) of mean 1, or None: all equal.

    ``features``: the feature that each column encodes, those of a category adjacent; empty: a feature each.
    ``observed``: for how many windows each loan was observed without default, shape (n,); ``defaulted`` then says
    whether it defaulted at that time. None: every loan was observed for its whole window. ``vintage``: the months of
    decision, counted from any; given where ``observed`` is. ``natural_rate``: the weighted share of defaults before the
    rows were balanced (:mod:`ml.training.imbalance`); None: they were not.
    """

    matrix: Matrix
    defaulted: NDArray[np.bool_]
    weights: NDArray[np.float64] | None = None
    features: tuple[str, ...] = ()
    observed: NDArray[np.float64] | None = None
    vintage: NDArray[np.int64] | None = None
    natural_rate: float | None = None

    @property
    def default_rate(self) -> float:
        """The weighted share of defaults."""
        return float(np.average(self.defaulted, weights=self.weights))

    @property
    def to_natural(self) -> float:
        """See :func:`shift_to_natural`."""
        return shift_to_natural(self)

    @cached_property
    def varying(self) -> NDArray[np.bool_]:
        """Whether each column has two different values, of which missing is one, shape (n_columns,)."""
        return _varying(self.matrix, self.matrix[:1])

    def drawn(self, n_rows: int) -> "Sample":
        """Up to ``n_rows`` spread evenly over all; always the same rows."""
        if len(self.defaulted) <= n_rows:
            return self
        places = _spread(len(self.defaulted), n_rows)
        return _part_of(self, self.matrix[places], places)


@dataclass(frozen=True)
class StreamedSample:
    """Rows to fit on, encoded in batches; outcomes and weights are in memory, a large matrix in ``directory``."""

    frame: "pd.DataFrame"
    encode: "Callable[[pd.DataFrame], Matrix]"
    defaulted: NDArray[np.bool_]
    directory: Path
    batch_rows: int = BATCH_ROWS
    weights: NDArray[np.float64] | None = None
    features: tuple[str, ...] = ()
    observed: NDArray[np.float64] | None = None
    vintage: NDArray[np.int64] | None = None
    natural_rate: float | None = None

    @property
    def default_rate(self) -> float:
        """The weighted share of defaults."""
        return float(np.average(self.defaulted, weights=self.weights))

    @property
    def to_natural(self) -> float:
        """See :func:`shift_to_natural`."""
        return shift_to_natural(self)

    @cached_property
    def varying(self) -> NDArray[np.bool_]:
        """As :attr:`Sample.varying`; reads batches until every column varies."""
        first = self.drawn(1).matrix
        found = np.zeros(first.shape[1], dtype=np.bool_)
        for batch in self.batches():
            found |= _varying(batch.matrix, first)
            if found.all():
                break
        return found

    def batches(self) -> Iterator[Sample]:
        """At most ``batch_rows`` rows each, in order."""
        for start in range(0, len(self.frame), self.batch_rows):
            yield self._part(slice(start, start + self.batch_rows))

    def drawn(self, n_rows: int) -> Sample:
        """The same rows as :meth:`Sample.drawn` of all of them, encoded."""
        return self._part(_spread(len(self.frame), min(n_rows, len(self.frame))))

    def _part(self, places: "slice | NDArray[np.int64]") -> Sample:
        return _part_of(self, self.encode(self.frame.iloc[places]), places)


def shift_to_natural(rows: Sample | StreamedSample) -> float:
    """By how much log-odds learned from these rows are moved to the level from before they were balanced.

    The difference of the two rates' log-odds (King, Zeng 2001, "Logistic Regression in Rare Events Data", "prior
    correction"); 0 for rows that were not balanced.

    >>> weights = np.array([2, 2 / 3, 2 / 3, 2 / 3])
    >>> rows = Sample(np.zeros((4, 1)), np.array([True, False, False, False]), weights, natural_rate=0.25)
    >>> round(shift_to_natural(rows), 4)
    -1.0986
    """
    return 0.0 if rows.natural_rate is None else log_odds(rows.natural_rate) - log_odds(rows.default_rate)


def log_odds(rate: float) -> float:
    """Of a rate; one of 0 or 1 counts as a millionth more or less."""
    within = min(max(rate, 1e-6), 1 - 1e-6)
    return float(np.log(within / (1 - within)))


def _part_of(rows: Sample | StreamedSample, matrix: Matrix, places: "slice | NDArray[np.int64]") -> Sample:
    weights = None if rows.weights is None else rows.weights[places]
    observed = None if rows.observed is None else rows.observed[places]
    vintage = None if rows.vintage is None else rows.vintage[places]
    return Sample(matrix, rows.defaulted[places], weights, rows.features, observed, vintage, rows.natural_rate)


def _varying(matrix: Matrix, first: Matrix) -> NDArray[np.bool_]:
    alike: NDArray[np.bool_] = ((matrix == first) | (np.isnan(matrix) & np.isnan(first))).all(axis=0)
    return ~alike


def _spread(n_rows: int, n_drawn: int) -> NDArray[np.int64]:
    return np.linspace(0, n_rows - 1, num=n_drawn, dtype=np.int64)


@dataclass(frozen=True)
class Dimension:
    """A setting that a search may vary, within ``low`` and ``high``, both included; ``is_log``: by its logarithm."""

    name: str
    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False


@dataclass(frozen=True)
class Guarantees:
    """What a family guarantees of each of its models; a bundle states what held when it was written.

    ``score_bound``: the most by which a row's raw score, in log-odds, may differ between the model and its served form,
    alone and in a block; 0 means none, to the bit. ``reasons_are_exact``: whether contributions are the model's own,
    not estimates; a model whose reasons are not may answer only in shadow. ``keeps_directions``: whether risk moves
    only in the contract's directions.
    """

    score_bound: float
    reasons_are_exact: bool
    keeps_directions: bool

    @classmethod
    def of(cls, family: "Family") -> Self:
        """What this family states with these settings."""
        return cls(family.score_bound, family.reasons_are_exact, family.keeps_directions)

    @property
    def text(self) -> str:
        """For people."""
        scores = f"scores within {self.score_bound:g} in log-odds" if self.score_bound else "scores equal to the bit"
        reasons = "exact reasons" if self.reasons_are_exact else "estimated reasons"
        return f"{scores}, {reasons}, directions of risk {'' if self.keeps_directions else 'not '}kept"


class Model(Protocol):
    """Scores blocks of rows."""

    def raw_scores(self, matrix: Matrix) -> NDArray[Any]:
        """Log-odds of default before calibration, shape (n,), of encoded rows; thread-safe."""


class FittedModel(Model, Protocol):
    """The result of fitting a family."""

    def importance(self, n_columns: int) -> NDArray[np.float64]:
        """Each column's share of importance: sums to 1, or all are 0."""

    def write(self, directory: Path, columns: Sequence[str]) -> None:
        """Write the family's ``files``, and any others of this model.

        ``columns``: names of the matrix's columns, for files that people read.
        """


class ServedForm(Model, Protocol):
    """Scores single rows and gives reasons; ``raw_scores`` are float32 values."""

    @property
    def expected(self) -> float:
        """The raw score where contributions start.

        The mean over the training rows, which trees weigh by their cover; of a scorecard, that of the best bins.
        """

    def points(self, raw_scores: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """The whole points behind raw scores, shape (n,), more for a safer loan; None of a family without points."""

    def points_of_one(self, raw_score: float) -> int | None:
        """The points behind one raw score, equal to those of :meth:`points`."""

    def contributions(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """Each column's contribution to a row's raw score, shape (n_columns,); with ``expected`` they sum to it."""


class Family(Protocol):
    """Settings of a model that can be served; each has a default. ``name`` stands in the bundle's manifest.

    ``files``: those that every model of the family writes. ``space``: the settings that a search varies
    (:mod:`ml.search`). The three properties: see :class:`Guarantees`.
    ``learns_from_open``: whether it reads ``Sample.observed``, and so learns also from loans with an open window.
    """

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    space: ClassVar[tuple[Dimension, ...]]
    learns_from_open: ClassVar[bool]

    @property
    def score_bound(self) -> float:
        """In log-odds; a class variable where no setting changes it."""

    @property
    def reasons_are_exact(self) -> bool:
        """A class variable where no setting changes it."""

    @property
    def keeps_directions(self) -> bool:
        """A class variable where no setting changes it."""

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> FittedModel:
        """Learn from ``train``; ``tune`` may decide when to stop. ``monotone``: each column's direction of risk.

        Log-odds of ``tune`` are judged with ``train.to_natural`` added: they are of another level after balancing.
        """

    def refit(self, model: Any, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> FittedModel:
        """Learn again, from train and tune ``rows``, with what tune rows decided of ``model``, its earlier fit."""

    def packages(self) -> dict[str, str]:
        """The libraries used for fitting, with versions, for lineage; ModuleNotFoundError if one is not installed."""

    @staticmethod
    def read(directory: Path) -> Model:
        """The model from ``files``, on one thread; may import its library."""

    @staticmethod
    def open(directory: Path) -> ServedForm:
        """The served form from ``files``; imports no heavy library."""
