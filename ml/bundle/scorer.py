"""Score with a bundle: requests, batches, tables, walks and replays use one object.

All agree to the bit, or within the bound that the model's family states (:class:`ml.families.protocol.Guarantees`).

Loading one imports no pandas, XGBoost, MLflow or DuckDB, so an API process loads a bundle in a fraction of a second.
The first block of many rows imports the model's library; an API process never scores one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.bundle.bundle import Bundle
from ml.bundle.logged_values import ReasonCode, dump_reasons
from ml.calibration.calibrators import uncalibrated
from ml.families.protocol import Matrix, Model
from ml.training.policy import DECISION_WORDS, Decision
from warehouse.decision_log.json_text import row_text
from warehouse.features.columns import missing_text
from warehouse.features.contract import FeatureContract, compile_contract

#: Maximum of principal reasons in adverse-action notices: four, by the commentary on US Regulation B.
MOST_REASONS = 4
#: From this number on trees are faster than their served form: XGBoost and ONNX Runtime took 0.80 and 0.99 ms for 64
#: rows, 0.44 and 0.03 for one. Families with one form for both do not care.
_MANY_ROWS = 64


class Score(msgspec.Struct, frozen=True):
    """``raw`` in log-odds (a float32 value), ``probability`` of default calibrated, in (0, 1).

    ``low``, ``high``: the interval of the probability, which holds it (:mod:`ml.calibration.venn_abers`).
    ``points``: of a scorecard, more for a safer loan; None of another family.
    """

    raw: float
    probability: float
    low: float
    high: float
    band: str
    decision: Decision
    points: int | None = None


@dataclass(frozen=True)
class Scores:
    """Scores of many rows, each array of shape (n,), as :class:`Score` has them.

    ``band_codes`` index ``band_names``, ``decision_codes`` index :data:`ml.training.policy.DECISION_WORDS`.
    """

    raw: NDArray[np.float32]
    probability: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    band_codes: NDArray[np.intp]
    band_names: tuple[str, ...]
    decision_codes: NDArray[np.int8]
    points: NDArray[np.int64] | None

    @property
    def bands(self) -> list[str]:
        """Each row's band."""
        return [self.band_names[code] for code in self.band_codes]

    @property
    def is_referred(self) -> NDArray[np.bool_]:
        """Whether a person decides, for each row."""
        return np.asarray(self.decision_codes == DECISION_WORDS.index("refer"))

    @property
    def decisions(self) -> list[Decision]:
        """Each row's decision."""
        return [DECISION_WORDS[code] for code in self.decision_codes]


class Scorer:
    """A loaded bundle; immutable and safe in any number of threads."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.contract: FeatureContract = bundle.contract
        self._matrix = bundle.design_matrix
        self._served = bundle.open_served()
        self._compute_features = compile_contract(bundle.contract)
        names = bundle.contract.input_names
        #: A row of inputs of which none is known.
        self.no_inputs: Mapping[str, None] = dict.fromkeys(names)
        self._pick: Callable[[Mapping[str, object]], tuple[object, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda row: tuple([row[name] for name in names])
        )
        #: Write inputs, and a feature vector, in contract order, as the decision log has them.
        self.inputs_text, self.features_text = row_text(names), row_text(bundle.contract.feature_names)

    def inputs(self, row: Mapping[str, object]) -> tuple[object, ...]:
        """The inputs of a row in contract order; raises KeyError if one is not there."""
        return self._pick(row)

    def features(self, inputs: Mapping[str, object]) -> tuple[object, ...]:
        """The feature vector of one row of inputs, in contract order; equal to dbt's SQL to the bit.

        Raises ExpressionDomainError where DuckDB would stop with an error, or an input is missing.
        """
        return self._compute_features(inputs)

    def score(self, features: Sequence[object]) -> Score:
        """Score one feature vector, in contract order, None for missing."""
        return self.score_of(self._served.raw_scores(self._matrix.encode_row(features)))

    def score_of(self, raws: NDArray[np.float32]) -> Score:
        """The score that follows from a raw score, shape (1,)."""
        raw = float(raws[0])
        # NumPy on one value takes four times as long
        before_calibration = 1.0 / (1.0 + float(np.exp(-raw)))
        probability = self.bundle.calibrator.apply_one(before_calibration)
        low, high = self.bundle.intervals.around_one(before_calibration, probability)
        policy = self.bundle.policy
        return Score(
            raw,
            probability,
            low,
            high,
            policy.band(probability),
            policy.decide(probability, low, high),
            self._served.points_of_one(raw),
        )

    def score_matrix(self, matrix: Matrix) -> Scores:
        """Score encoded rows, shape (n, n_columns), on the caller's thread alone.

        :meth:`score` gives the same bits, or a raw score within the bound that the family states.
        """
        raw = (self._served if len(matrix) < _MANY_ROWS else self._model).raw_scores(matrix)
        before_calibration = uncalibrated(raw)
        probability = self.bundle.calibrator.apply(before_calibration)
        low, high = self.bundle.intervals.around(before_calibration, probability)
        policy = self.bundle.policy
        return Scores(
            raw,
            probability,
            low,
            high,
            policy.band_codes(probability),
            tuple(band.name for band in policy.bands),
            policy.decision_codes(probability, low, high),
            self._served.points(raw),
        )

    def reasons(self, features: Sequence[object]) -> list[ReasonCode]:
        """One to four features that moved this applicant's raw score furthest towards default, weightiest first.

        Contributions start where the family says (:class:`ml.families.protocol.ServedForm`). Features below the
        policy's least share of the adverse weight are left out. Features with the same text appear once, with the
        strongest; a missing value is named as missing. Approvals have no reasons; referrals have them for the person
        who decides.
        """
        return self.reasons_of_row(self._matrix.encode_row(features)[0])

    def reasons_of_row(self, row: NDArray[np.float32]) -> list[ReasonCode]:
        """:meth:`reasons` of an encoded row, shape (n_columns,)."""
        weights = zip(self._matrix.feature_names, self._by_feature(row), strict=True)
        reasons: dict[str, ReasonCode] = {}
        for feature, contribution in principal(weights, least_share=self.bundle.policy.least_reason_share):
            if len(reasons) == MOST_REASONS:
                break
            first_column, reason, reason_if_missing = self._texts[feature]
            # a missing value has its own text: the contract's reason could be wrong
            text = reason_if_missing if isnan(row.item(first_column)) else reason
            reasons.setdefault(text, ReasonCode(feature, text, contribution))
        return list(reasons.values())

    def logged_reasons(self, matrix: Matrix, scores: Scores, *, of_approved: str | None) -> list[str | None]:
        """The reasons of each row not approved, as the decision log has them; ``of_approved`` for the others."""
        return [
            of_approved if decision == "approve" else dump_reasons(self.reasons_of_row(row))
            for row, decision in zip(matrix, scores.decisions, strict=True)
        ]

    def contributions(self, row: NDArray[np.float32]) -> dict[str, float]:
        """Each feature's contribution to an encoded row's raw score, in log-odds: those of its columns, summed."""
        return dict(zip(self._matrix.feature_names, self._by_feature(row), strict=True))

    def _by_feature(self, row: NDArray[np.float32]) -> list[float]:
        by_feature: list[float] = np.bincount(self._feature_of_column, self._served.contributions(row)).tolist()
        return by_feature

    @cached_property
    def _feature_of_column(self) -> NDArray[np.intp]:
        """For each column of the matrix the index of its feature among those that the model reads."""
        place = {name: place for place, name in enumerate(self._matrix.feature_names)}
        return np.array([place[name] for name in self._matrix.feature_of_column], dtype=np.intp)

    @cached_property
    def _texts(self) -> dict[str, tuple[int, str, str]]:
        """Of each feature its first column, its reason, and that of a missing value, which all its columns miss."""
        of_contract = {feature.name: feature for feature in self.contract.features}
        return {
            name: (
                self._matrix.feature_of_column.index(name),
                of_contract[name].reason,
                of_contract[name].missing or missing_text([name.replace("_", " ")]),
            )
            for name in self._matrix.feature_names
        }

    @cached_property
    def _model(self) -> Model:
        return self.bundle.read_model()


def principal(contributions: Iterable[tuple[str, float]], *, least_share: float) -> list[tuple[str, float]]:
    """Features against an applicant with ``least_share`` of all adverse weight or more, weightiest first.

    ``contributions``: by feature, in log-odds of default. The result has at least the weightiest, since every decline
    needs a reason; equal ones keep the order given.

    >>> principal({"age": -0.5, "income": 0.6, "purpose": 0.01, "term": 0.2}.items(), least_share=0.05)
    [('income', 0.6), ('term', 0.2)]
    """
    items, weight = list(contributions), itemgetter(1)
    adverse = [item for item in items if item[1] > 0]
    least = least_share * sum([value for _, value in adverse])
    told = [item for item in adverse if item[1] >= least]
    return sorted(told, key=weight, reverse=True) or [max(items, key=weight)]
