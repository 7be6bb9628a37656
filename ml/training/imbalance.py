"""Defaults made to count as much as repaid loans, among the rows that a model learns from.

- ``class_weights``: both outcomes have the same total weight; the weights of newer rows keep their proportions.
- ``smote``: invented rows of the rarer outcome, until both are equally many (Chawla, Bowyer, Hall, Kegelmeyer,
  "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16 (2002) 321–357), by imbalanced-learn.

A model's raw level is then that of half defaults. The calibration on tune rows, which are never touched, repairs it.
Families that stop by the log loss of tune rows read it at the level from before, which balanced rows carry
(``natural_rate``): at another level, each tree that moves it there would count as a gain.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Matrix, Sample, StreamedSample
from ml.training.design_matrix import DesignMatrix
from warehouse.errors import SettingError, TrainingSetError
from warehouse.lenders.lender import Imbalance

Floats = NDArray[np.float64]
NONE: Final = "none"
#: More rows are refused: SMOTE holds them, and as many invented ones, in float64.
MOST_SMOTE_ROWS = 200_000
_NEIGHBOURS = 5
_SEED = 20111231
#: A row's weight lies between those of its parents as its values do, but does not make rows neighbours.
_NO_DISTANCE = 1e-6


def balanced(
    sample: Sample | StreamedSample, imbalance: Imbalance, design_matrix: DesignMatrix
) -> Sample | StreamedSample:
    """The rows as a model learns from them; ``design_matrix`` encoded them.

    Raises SettingError if SMOTE is not installed or the rows are too many for it, and TrainingSetError if it finds
    fewer than two rows of an outcome.
    """
    if imbalance == "class_weights":
        weights = class_weights(sample.defaulted, sample.weights)
        return replace(sample, weights=weights, natural_rate=sample.default_rate)
    if imbalance == "smote":
        refusal = smote_refusal(len(sample.defaulted), is_on_disk=isinstance(sample, StreamedSample))
        if sample.observed is not None:
            refusal = "cannot invent for how long a loan was observed, which this family learns from: use class_weights"
        if refusal or isinstance(sample, StreamedSample):
            raise SettingError(f"imbalance smote {refusal}")
        return with_invented_rows(sample, design_matrix)
    return sample


def class_weights(defaulted: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """Weights of mean 1, shape (n,), whose sum over defaults is that over repaid loans.

    ``weights``: of the rows before, such as for recency; None: all equal.

    >>> class_weights(np.array([True, False, False, False])).round(2)
    array([2.  , 0.67, 0.67, 0.67])
    """
    before = np.ones(len(defaulted)) if weights is None else weights
    n = len(defaulted)
    share = np.where(defaulted, n / 2 / before[defaulted].sum(), n / 2 / before[~defaulted].sum())
    return np.asarray(share * before, dtype=np.float64)


def smote_refusal(n_rows: int, *, is_on_disk: bool = False) -> str:
    """Why SMOTE cannot be used with as many rows here; empty if it can."""
    try:
        import imblearn
    except ImportError:
        return "needs imbalanced-learn, which is not installed: pip install 'loanlake[resampling]'"
    del imblearn
    if n_rows > MOST_SMOTE_ROWS or is_on_disk:
        where = ", on disk" if is_on_disk else ""
        return (
            f"learns from at most {MOST_SMOTE_ROWS:,} rows, in memory: found {n_rows:,}{where}; "
            "class_weights has no such limit"
        )
    return ""


def packages(imbalance: Imbalance) -> dict[str, str]:
    """The library that it needs, with its version, for lineage."""
    if imbalance != "smote":
        return {}
    from importlib.metadata import version

    return {"imbalanced-learn": version("imbalanced-learn")}


def with_invented_rows(sample: Sample, design_matrix: DesignMatrix) -> Sample:
    """The rows, and invented ones of the rarer outcome after them; equal input gives equal rows.

    An invented row lies between a row and one of its five nearest of the same outcome. A number is on the line between
    the two; a category, a boolean, and whether a value is missing are those of the nearer one. Where only one of the
    two has a value, there is nothing between: the invented row takes the nearer one's value or lack of it. Its weight
    is between theirs.

    Distances are Euclidean. Numbers are standardised, a missing one counts as the median; another category, another
    boolean, or a value that only one row has, adds what one standard deviation does (SMOTE-NC, section 6.1 there).
    """
    from imblearn.over_sampling import SMOTE

    defaulted = sample.defaulted
    n_rarer = min(int(defaulted.sum()), int((~defaulted).sum()))
    if n_rarer < 2:
        raise TrainingSetError(
            f"imbalance smote invents rows between two of the rarer outcome: found {n_rarer} in {len(defaulted):,} rows"
        )
    space = _Space.of(sample.matrix, design_matrix)
    weights = np.ones(len(defaulted)) if sample.weights is None else sample.weights
    points = np.column_stack([space.points(sample.matrix), weights * _NO_DISTANCE])
    resampled, outcomes = SMOTE(random_state=_SEED, k_neighbors=min(_NEIGHBOURS, n_rarer - 1)).fit_resample(
        points, defaulted
    )
    invented = resampled[len(defaulted) :]
    all_weights = None
    if sample.weights is not None:
        all_weights = np.concatenate([weights, invented[:, -1] / _NO_DISTANCE])
        all_weights /= all_weights.mean()
    return Sample(
        np.vstack([sample.matrix, space.rows(invented[:, :-1])]),
        np.asarray(outcomes, dtype=np.bool_),
        all_weights,
        sample.features,
        natural_rate=sample.default_rate,
    )


@dataclass(frozen=True)
class _Space:
    """Where rows lie for SMOTE: the matrix's columns, scaled and with 0 for missing, then 0 or 1 a feature: missing.

    ``numeric``: for each column, whether it is a number. ``blocks``: first column, and the one after the last, of each
    feature. ``centre``, ``scale``: of each column.
    """

    numeric: NDArray[np.bool_]
    blocks: tuple[tuple[int, int], ...]
    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, matrix: Matrix, design_matrix: DesignMatrix) -> "_Space":
        """The space of these rows."""
        kinds = [(feature.kind, len(feature.columns)) for feature in design_matrix.features]
        numeric = np.array([kind == "numeric" for kind, n in kinds for _ in range(n)])
        ends = np.cumsum([n for _, n in kinds])
        # two categories differ in two columns
        scale = np.array([np.sqrt(2) if kind == "categorical" else 1.0 for kind, n in kinds for _ in range(n)])
        centre = np.zeros(len(numeric))
        # a column without any value stays as it is
        known = numeric & ~np.isnan(matrix).all(axis=0)
        centre[known] = np.nanmedian(matrix[:, known].astype(np.float64), axis=0)
        spread = np.nanstd(matrix[:, known].astype(np.float64), axis=0)
        scale[known] = np.where(spread > 0, spread, 1.0)
        blocks = tuple((int(end) - n, int(end)) for end, (_, n) in zip(ends, kinds, strict=True))
        return cls(numeric, blocks, centre, scale)

    def points(self, matrix: Matrix) -> Floats:
        """Rows as points, shape (n, n_columns + n_features)."""
        missing = np.isnan(matrix)
        scaled = np.where(missing, 0.0, (matrix - self.centre) / self.scale)
        return np.hstack([scaled, missing[:, [first for first, _ in self.blocks]]])

    def rows(self, points: Floats) -> Matrix:
        """Points between two rows as rows, shape (n, n_columns)."""
        n_columns = len(self.numeric)
        rows = np.empty((len(points), n_columns), dtype=np.float32)
        for number, (first, end) in enumerate(self.blocks):
            missing, values = points[:, n_columns + number], points[:, first:end]
            is_missing = missing > 0.5
            # the share of a parent without a value is taken out: its 0 stands for a missing value
            values = values / np.where(is_missing, 1.0, 1.0 - missing)[:, None]
            values = values * self.scale[first:end] + self.centre[first:end]
            if end - first > 1:
                values = np.eye(end - first)[values.argmax(axis=1)]
            elif not self.numeric[first]:
                values = np.rint(values)
            rows[:, first:end] = np.where(is_missing[:, None], np.nan, values)
        return rows
