"""Score with a bundle: the one path of the API, of batches and of replays, so that all three agree to the bit.

Imports no pandas, XGBoost, MLflow or DuckDB: an API process loads a bundle in a fraction of a second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.bundle.bundle import Bundle
from ml.bundle.logged_values import Reason
from ml.training.policy import Decision
from ml.trees.explain import principal
from ml.trees.onnx_twin import open_session, raw_scores
from warehouse.features.compiled import compile_contract
from warehouse.features.contract import FeatureColumn, FeatureContract, missing_text

#: What adverse-action notices ask for: the principal reasons, which US Regulation B's commentary counts to four.
MOST_REASONS = 4


class Score(msgspec.Struct, frozen=True):
    """``raw`` in log-odds (a float32 value), ``probability`` of default calibrated, in (0, 1)."""

    raw: float
    probability: float
    band: str
    decision: Decision


@dataclass(frozen=True)
class Scores:
    """Many rows' scores, each array of shape (n,)."""

    raw: NDArray[np.float32]
    probability: NDArray[np.float64]
    bands: list[str]
    declined: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.raw)

    def decision(self, row: int) -> Decision:
        """The decision on one row."""
        return "decline" if self.declined[row] else "approve"


class Scorer:
    """A loaded bundle, ready for any number of threads; immutable."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.contract: FeatureContract = bundle.contract
        self._matrix = bundle.design_matrix
        self._session = open_session(bundle.read_onnx())
        self._explainer = bundle.read_explainer()
        self._compute_features = compile_contract(bundle.contract)

    def features(self, inputs: Mapping[str, object]) -> tuple[object, ...]:
        """The feature vector, in contract order, of one row of inputs; what dbt's SQL would give, to the bit.

        Raises ExpressionDomainError where DuckDB would stop with an error, or an input is not in the row.
        """
        return self._compute_features(inputs)

    def score(self, features: Sequence[object]) -> Score:
        """Score one feature vector, in contract order, None for missing."""
        raw = float(raw_scores(self._session, self._matrix.encode_row(features))[0])
        # array operations on one value take four times as long
        probability = self.bundle.calibrator.apply_one(1.0 / (1.0 + float(np.exp(-raw))))
        policy = self.bundle.policy
        return Score(raw, probability, policy.band(probability), policy.decide(probability))

    def score_matrix(self, matrix: NDArray[np.float32]) -> Scores:
        """Score rows that the bundle's design matrix has encoded, shape (n, n_columns).

        Each has the bits that :meth:`score` gives it alone.
        """
        raw = raw_scores(self._session, matrix)
        probability = self._probability(raw)
        policy = self.bundle.policy
        return Scores(raw, probability, policy.bands_of(probability), policy.declines(probability))

    def reasons(self, features: Sequence[object]) -> list[Reason]:
        """The features that moved this applicant's raw score furthest towards default, weightiest first: one to four.

        Contributions are measured from the training rows' mean score; one below the policy's least share of all that
        speaks against the applicant is not told. Features that share a text are told once, with the weightiest of them;
        a missing value is told as such. What a decline owes; an approval owes none.
        """
        return self.reasons_of_row(self._matrix.encode_row(features)[0])

    def reasons_of_row(self, row: NDArray[np.float32]) -> list[Reason]:
        """:meth:`reasons` of an encoded row, shape (n_columns,)."""
        by_feature = self.contributions(row)
        reasons: dict[str, Reason] = {}
        for feature, contribution in principal(by_feature, least_share=self.bundle.policy.least_reason_share):
            if len(reasons) == MOST_REASONS:
                break
            text = self._reason_text(feature, is_missing=bool(np.isnan(row[self._columns_of[feature]]).all()))
            reasons.setdefault(text, Reason(feature, text, contribution))
        return list(reasons.values())

    def contributions(self, row: NDArray[np.float32]) -> dict[str, float]:
        """Each feature's contribution to an encoded row's raw score, in log-odds; with ``expected`` they sum to it."""
        by_feature = np.bincount(self._feature_of_column, self._explainer.contributions(row))
        return dict(zip(self._matrix.feature_names, by_feature.tolist(), strict=True))

    @property
    def expected(self) -> float:
        """The mean raw score of the training rows, in log-odds: where contributions start from."""
        return self._explainer.expected

    def _reason_text(self, feature: str, *, is_missing: bool) -> str:
        """The contract's reason; of a missing value it would claim what nobody knows, so that has a text of its own."""
        column = self._features[feature]
        if not is_missing:
            return column.reason
        return column.missing or missing_text([feature.replace("_", " ")])

    @cached_property
    def _feature_of_column(self) -> NDArray[np.intp]:
        """For each column of the matrix the place of its feature among those that the model reads."""
        place = {name: place for place, name in enumerate(self._matrix.feature_names)}
        return np.array([place[name] for name in self._matrix.feature_of_column], dtype=np.intp)

    @cached_property
    def _columns_of(self) -> dict[str, NDArray[np.intp]]:
        return {
            name: np.flatnonzero(self._feature_of_column == place)
            for place, name in enumerate(self._matrix.feature_names)
        }

    @cached_property
    def _features(self) -> dict[str, FeatureColumn]:
        return {feature.name: feature for feature in self.contract.features}

    def _probability(self, raw: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.bundle.calibrator.apply(uncalibrated(raw))


def uncalibrated(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """The booster's own probability of a raw score, in float64: what calibrators take."""
    return np.asarray(1.0 / (1.0 + np.exp(-raw.astype(np.float64))))
