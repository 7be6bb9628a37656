"""Train a candidate: model from train rows, calibration and cut-off from tune rows, and baselines.

Never reads test rows. Equal training sets and settings give equal candidates, to the byte.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.families.catalogue import DEFAULT, family_of
from ml.families.logistic import LogisticRegression
from ml.families.protocol import BATCH_ROWS, Family, FittedModel, Model, Sample, StreamedSample
from ml.training.calibration import Calibrator, Method, choose_method, fit_calibrator, uncalibrated
from ml.training.design_matrix import DesignMatrix
from ml.training.policy import DEFAULT_BANDS, Band, CutOffRule, Policy
from ml.training.training_set import TrainingSet
from warehouse.errors import SettingError
from warehouse.features.contract import FeatureContract
from warehouse.lenders.lender import Lender

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
#: The lender's own price of the risk: the baseline that a lender already has.
RATE_FEATURE = "annual_rate"
LOGISTIC, LENDER_RATE = "logistic", "lender_rate"


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that shapes a candidate besides its training set.

    ``exclude``: features the model leaves out. To be free of the lender's own judgement, name with its rate and grade
    also what is computed from the rate (``payment_to_income``, ``debt_to_income_with_loan``, and in version 2
    ``interest_to_income``, ``residual_income``).
    ``calibration``: a method of :mod:`ml.training.calibration`, or ``auto`` to choose by cross-validation on tune
    rows. Platt by default, since trees stopped by log loss need little bending: its log loss on test rows was .3971 on
    Lending Club (beta .3974, isotonic .3990), .4407 on UCI (.4409, .4482) and .2823 on the simulated lender (.2817,
    .2808).
    """

    exclude: tuple[str, ...] = ()
    model: Family = DEFAULT
    logistic: LogisticRegression = field(default_factory=LogisticRegression)
    calibration: Method | Literal["auto"] = "platt"
    cut_off: CutOffRule = field(default_factory=CutOffRule)
    bands: tuple[Band, ...] = DEFAULT_BANDS

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for lineage: ``family`` names whose settings ``model`` are."""
        return {"family": self.model.name, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        family = family_of(data["family"])
        others = {name: value for name, value in data.items() if name not in ("family", "model")}
        return replace(msgspec.convert(others, cls), model=msgspec.convert(data["model"], family))

    def to_params(self) -> dict[str, str]:
        """Flat text, one entry a setting (``boosting.max_depth``), as MLflow logs it."""
        flat: dict[str, str] = {}
        for name, value in self.to_dict().items():
            if isinstance(value, dict):
                flat |= {f"{name}.{inner}": str(inner_value) for inner, inner_value in value.items()}
            elif name == "bands":
                flat[name] = ", ".join(f"{band['name']} < {band['upper']:g}" for band in value)
            else:
                flat[name] = ", ".join(value) if isinstance(value, tuple) else str(value)
        return flat


def training_settings_of(lender: Lender, *, exclude: tuple[str, ...] = ()) -> TrainingSettings:
    """The lender's model, cut-off and bands, with defaults for what its file does not say.

    Raises SettingError for an unknown family, or a setting that it does not have.
    """
    given = {name: value for name, value in asdict(lender.policy.cut_off).items() if value is not None}
    bands = tuple(Band(name, upper) for name, upper in lender.policy.bands.items())
    return TrainingSettings(
        exclude=exclude,
        model=_model_of(lender),
        calibration=lender.model.calibration or TrainingSettings.calibration,
        cut_off=CutOffRule(**given),
        bands=bands or DEFAULT_BANDS,
    )


def _model_of(lender: Lender) -> Family:
    wanted = lender.model
    family = type(DEFAULT) if wanted.family is None else family_of(wanted.family)
    known = list(signature(family).parameters)
    for name, value in wanted.settings.items():
        where = f"{lender.path}: model.settings.{name}"
        if name not in known:
            raise SettingError(f"{where} must be a setting of {family.name}: known are {', '.join(known)}")
        try:
            msgspec.convert({name: value}, family)
        except msgspec.ValidationError as error:
            raise SettingError(f"{where} cannot be {value}: {error}") from None
    return msgspec.convert(dict(wanted.settings), family)


@dataclass(frozen=True)
class CalibratedModel:
    """A fitted model with its design matrix and calibrator."""

    design_matrix: DesignMatrix
    model: Model
    calibrator: Calibrator

    def raw(self, frame: "pd.DataFrame") -> Floats:
        """Uncalibrated probabilities of a feature table's rows."""
        # in parts, because rows on disk must not be encoded in one piece
        starts = range(0, max(len(frame), 1), BATCH_ROWS)
        matrices = (self.design_matrix.encode(frame.iloc[start : start + BATCH_ROWS]) for start in starts)
        return np.concatenate([uncalibrated(self.model.raw_scores(matrix)) for matrix in matrices])

    def probabilities(self, frame: "pd.DataFrame") -> Floats:
        """Calibrated probabilities of default of a feature table's rows."""
        return self.calibrator.apply(self.raw(frame))


@dataclass(frozen=True, kw_only=True)
class Candidate(CalibratedModel):
    """A trained model, ready to be evaluated, gated and bundled.

    ``baselines``: ``logistic`` on the same features, and ``lender_rate``, the annual rate alone, if the contract has a
    varying one. ``base_rate``: default rate of tune rows. ``training_seconds``: total wall time.
    """

    source: str
    snapshot: int
    training_set_sha256: str
    settings: TrainingSettings
    model: FittedModel
    policy: Policy
    baselines: Mapping[str, CalibratedModel]
    base_rate: float
    training_seconds: float = field(compare=False, default=0.0)

    def feature_importance(self) -> dict[str, float]:
        """Each feature's share in the model, greatest first; a category's columns are summed."""
        importance = self.model.importance(len(self.design_matrix.columns))
        shares = dict.fromkeys(self.design_matrix.feature_names, 0.0)
        for feature, share in zip(self.design_matrix.feature_of_column, importance, strict=True):
            shares[feature] += float(share)
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


def train(training_set: TrainingSet, contract: FeatureContract, settings: TrainingSettings | None = None) -> Candidate:
    """Train, calibrate and set the cut-off.

    Raises ContractError if the settings exclude an unknown feature, or the training set lacks one of the contract.
    """
    settings = settings or TrainingSettings()
    started = time.perf_counter()
    design_matrix = DesignMatrix.from_contract(contract, settings.exclude)
    train_sample, tune_sample = _samples(design_matrix, training_set)
    model = settings.model.fit(train_sample, tune_sample, design_matrix.monotone_constraints)
    raw_tune = uncalibrated(model.raw_scores(tune_sample.matrix))
    method = settings.calibration
    if method == "auto":
        method = choose_method(raw_tune, tune_sample.defaulted)
    calibrator = fit_calibrator(raw_tune, tune_sample.defaulted, method=method)
    tune_probabilities = calibrator.apply(raw_tune)

    return Candidate(
        source=training_set.source,
        snapshot=training_set.snapshot,
        training_set_sha256=training_set.sha256,
        settings=settings,
        design_matrix=design_matrix,
        model=model,
        calibrator=calibrator,
        policy=Policy(settings.cut_off.cut_off(tune_probabilities), rule=settings.cut_off, bands=settings.bands),
        baselines=_baselines(training_set, contract, settings),
        base_rate=float(tune_sample.defaulted.mean()),
        training_seconds=time.perf_counter() - started,
    )


def _samples(design_matrix: DesignMatrix, training_set: TrainingSet) -> tuple[Sample | StreamedSample, Sample]:
    """Train rows, which may lie on disk, and tune rows."""
    rows, defaulted = training_set.rows("train"), training_set.defaulted("train")
    tune = Sample(design_matrix.encode(training_set.rows("tune")), training_set.defaulted("tune"))
    if training_set.mapped is not None:
        directory = training_set.mapped.directory
        return StreamedSample(rows, design_matrix.encode, defaulted, directory, BATCH_ROWS), tune
    return Sample(design_matrix.encode(rows), defaulted), tune


def _baselines(
    training_set: TrainingSet, contract: FeatureContract, settings: TrainingSettings
) -> dict[str, CalibratedModel]:
    matrices = {LOGISTIC: DesignMatrix.from_contract(contract, settings.exclude)}
    if RATE_FEATURE in contract.feature_names and training_set.rows("train")[RATE_FEATURE].nunique() > 1:
        everything_else = set(contract.feature_names) - {RATE_FEATURE}
        matrices[LENDER_RATE] = DesignMatrix.from_contract(contract, everything_else)
    baselines = {}
    for name, matrix in matrices.items():
        train_sample, tune_sample = _samples(matrix, training_set)
        model = settings.logistic.fit(train_sample, tune_sample, matrix.monotone_constraints)
        # calibrated on tune rows, as the model
        raw = uncalibrated(model.raw_scores(tune_sample.matrix))
        calibrator = fit_calibrator(raw, tune_sample.defaulted, method="platt")
        baselines[name] = CalibratedModel(matrix, model, calibrator)
    return baselines
