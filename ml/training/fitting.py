"""Train a candidate: model from train rows, family, calibration and cut-off from tune rows, and baselines.

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

from ml.families.boosted_trees import GradientBoosting
from ml.families.catalogue import AUTO, family_of, require_family
from ml.families.logistic import LogisticRegression
from ml.families.protocol import BATCH_ROWS, Family, FittedModel, Model, Sample, StreamedSample
from ml.training.calibration import Calibrator, Method, choose_method, fit_calibrator, uncalibrated
from ml.training.design_matrix import DesignMatrix
from ml.training.family_choice import FamilyChoice, choose_family
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
LOGISTIC, TREES, LENDER_RATE = LogisticRegression.name, GradientBoosting.name, "lender_rate"


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that shapes a candidate besides its training set.

    ``model``: the family with its settings. ``prefer_simpler``: whether ``logistic``, which is the baseline too, takes
    its place where it is no worse on tune rows (:mod:`ml.training.family_choice`).
    ``exclude``: features the model leaves out. To be free of the lender's own judgement, name with its rate and grade
    also what is computed from the rate (``payment_to_income``, ``debt_to_income_with_loan``, and in version 2
    ``interest_to_income``, ``residual_income``).
    ``calibration``: a method of :mod:`ml.training.calibration`, or ``auto`` to choose by cross-validation on tune
    rows. Platt by default, since trees stopped by log loss need little bending: its log loss on test rows was .3971 on
    Lending Club (beta .3974, isotonic .3990), .4407 on UCI (.4409, .4482) and .2823 on the simulated lender (.2817,
    .2808).
    """

    exclude: tuple[str, ...] = ()
    model: Family = field(default_factory=GradientBoosting)
    prefer_simpler: bool = False
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


def training_settings_of(lender: Lender, *, family: str = "", exclude: tuple[str, ...] = ()) -> TrainingSettings:
    """The lender's model, cut-off and bands, with defaults for what its file does not say.

    ``family``: a family, or ``auto``, in place of the file's; the file's model settings are those of its own family, of
    the trees where it says ``auto``. Raises SettingError for an unknown family, or a setting that it does not have.
    """
    given = {name: value for name, value in asdict(lender.policy.cut_off).items() if value is not None}
    bands = tuple(Band(name, upper) for name, upper in lender.policy.bands.items())
    declared, wanted = _declared_model(lender), family or lender.model.family or AUTO
    require_family(wanted, "the family of a model")
    name = TREES if wanted == AUTO else wanted
    return TrainingSettings(
        exclude=exclude,
        model=declared if declared.name == name else family_of(name)(),
        prefer_simpler=wanted == AUTO,
        logistic=declared if isinstance(declared, LogisticRegression) else LogisticRegression(),
        calibration=lender.model.calibration or TrainingSettings.calibration,
        cut_off=CutOffRule(**given),
        bands=bands or DEFAULT_BANDS,
    )


def _declared_model(lender: Lender) -> Family:
    """The family of the lender's file, the trees for ``auto``, with the file's settings."""
    wanted = lender.model
    name = wanted.family or AUTO
    require_family(name, f"{lender.path}: model.family")
    family = GradientBoosting if name == AUTO else family_of(name)
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

    ``settings``: those that give this model again, with the family that ``family_choice`` says was chosen.
    ``baselines``: ``logistic`` on the same features, the family passed over, and ``lender_rate``, the annual rate
    alone, if the contract has a varying one. ``base_rate``: default rate of tune rows.
    ``training_seconds``: total wall time.
    """

    source: str
    snapshot: int
    training_set_sha256: str
    settings: TrainingSettings
    family_choice: FamilyChoice | None
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
    """Train, choose the family if the settings say so, calibrate and set the cut-off.

    Raises ContractError if the settings exclude an unknown feature, or the training set lacks one of the contract.
    """
    asked = settings or TrainingSettings()
    started = time.perf_counter()
    design_matrix = DesignMatrix.from_contract(contract, asked.exclude)
    train_sample, tune_sample = _samples(design_matrix, training_set)
    logistic = asked.logistic.fit(train_sample, tune_sample, design_matrix.monotone_constraints)
    baselines = {LOGISTIC: _calibrated(design_matrix, logistic, tune_sample)}
    model: FittedModel = logistic
    settings, choice = replace(asked, prefer_simpler=False), None
    if asked.model != asked.logistic:
        model = asked.model.fit(train_sample, tune_sample, design_matrix.monotone_constraints)
        if asked.prefer_simpler:
            choice = choose_family((LOGISTIC, logistic), (asked.model.name, model), tune_sample)
            if choice.chosen == LOGISTIC:
                baselines[asked.model.name] = _calibrated(design_matrix, model, tune_sample)
                model, settings = logistic, replace(settings, model=asked.logistic)
    rate_baseline = _lender_rate(training_set, contract, asked)
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
        family_choice=choice,
        design_matrix=design_matrix,
        model=model,
        calibrator=calibrator,
        policy=Policy(settings.cut_off.cut_off(tune_probabilities), rule=settings.cut_off, bands=settings.bands),
        baselines=baselines if rate_baseline is None else {**baselines, LENDER_RATE: rate_baseline},
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


def _lender_rate(
    training_set: TrainingSet, contract: FeatureContract, settings: TrainingSettings
) -> CalibratedModel | None:
    if RATE_FEATURE not in contract.feature_names or training_set.rows("train")[RATE_FEATURE].nunique() <= 1:
        return None
    matrix = DesignMatrix.from_contract(contract, set(contract.feature_names) - {RATE_FEATURE})
    train_sample, tune_sample = _samples(matrix, training_set)
    return _calibrated(
        matrix, settings.logistic.fit(train_sample, tune_sample, matrix.monotone_constraints), tune_sample
    )


def _calibrated(design_matrix: DesignMatrix, model: Model, tune: Sample) -> CalibratedModel:
    """A baseline, calibrated on tune rows as the candidate is."""
    raw = uncalibrated(model.raw_scores(tune.matrix))
    return CalibratedModel(design_matrix, model, fit_calibrator(raw, tune.defaulted, method="platt"))
