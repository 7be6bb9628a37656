"""Train a candidate: model from train rows, family, calibration and cut-off from tune rows, and baselines.

Never reads test rows. Equal training sets and settings give equal candidates, to the byte.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.calibration.calibrators import Calibrator, Method, fit_calibrator, uncalibrated
from ml.calibration.venn_abers import VennAbers, fit_venn_abers
from ml.families.catalogue import AUTO, family_of, learns_from_open, require_family
from ml.families.ensemble import EnsembleModel
from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import BATCH_ROWS, Family, FittedModel, Model
from ml.families.settings import configured
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.training.design_matrix import DesignMatrix
from ml.training.family_choice import FamilyChoice, choose_family
from ml.training.imbalance import NONE
from ml.training.policy import DEFAULT_BANDS, Band, CutOffRule, Policy
from ml.training.samples import Samples
from ml.training.training_set import Split, TrainingSet
from warehouse.errors import SettingError
from warehouse.features.contract import FeatureContract
from warehouse.lenders.lender import Imbalance, Lender, ModelSettings, PolicySettings

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
#: The lender's own price of the risk: the baseline that a lender already has.
RATE_FEATURE = "annual_rate"
LOGISTIC, TREES, LENDER_RATE = LogisticRegression.name, GradientBoosting.name, "lender_rate"
#: An ensemble's members are baselines under this and their names.
MEMBER = "member_"


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that shapes a candidate besides its training set.

    ``model``: the family with its settings. ``prefer_simpler``: whether ``logistic``, which is the baseline too, takes
    its place where it is no worse on tune rows (:mod:`ml.training.family_choice`). ``refit``: whether each model learns
    again from train and tune rows, once tune rows have decided the number of trees, the family, the calibration and the
    cut-off. They decide by the scores of the first model, since no model may judge rows that it has seen.
    ``half_life_months``: see :func:`ml.training.samples.recency_weights`; None: all rows weigh the same.
    Decision 45 has what both bring. ``imbalance``: see :mod:`ml.training.imbalance`; the baselines are trained without.
    ``exclude``: features the model leaves out. To be free of the lender's own judgement, name with its rate and grade
    also what is computed from the rate (``payment_to_income``, ``debt_to_income_with_loan``, and in version 2
    ``interest_to_income``, ``residual_income``).
    ``calibration``: a method of :mod:`ml.calibration.calibrators`, or ``auto`` to choose by cross-validation on tune
    rows. Platt by default, since trees stopped by log loss need little bending: its log loss on test rows was .3971 on
    Lending Club (beta .3974, isotonic .3990), .4407 on UCI (.4409, .4482) and .2823 on the simulated lender (.2817,
    .2808).
    """

    exclude: tuple[str, ...] = ()
    model: Family = field(default_factory=GradientBoosting)
    prefer_simpler: bool = False
    refit: bool = ModelSettings.refit
    half_life_months: float | None = ModelSettings.half_life_months
    imbalance: Imbalance = ModelSettings.imbalance
    logistic: LogisticRegression = field(default_factory=LogisticRegression)
    calibration: Method | Literal["auto"] = "platt"
    cut_off: CutOffRule = field(default_factory=CutOffRule)
    refer_width: float | None = PolicySettings.refer_width
    bands: tuple[Band, ...] = DEFAULT_BANDS

    def __post_init__(self) -> None:
        if self.half_life_months is not None and self.half_life_months <= 0:
            raise SettingError(f"half_life_months must be above 0: found {self.half_life_months}")

    @property
    def learned(self) -> tuple[Split, ...]:
        """The splits of mature loans that the served model has learned from."""
        return ("train", "tune") if self.refit else ("train",)

    @property
    def learns_from_open(self) -> bool:
        """Whether its training set must have exposures and open loans."""
        return learns_from_open(self.model.name)

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


def training_settings_of(
    lender: Lender, *, family: str = "", exclude: tuple[str, ...] = (), refreshed: Family | None = None
) -> TrainingSettings:
    """The lender's model and policy, with defaults for what its file does not say.

    ``family``: a family, or ``auto``, in place of the file's; the file's model settings are those of its own family, of
    the trees where it says ``auto``. ``refreshed``: the model that a refresh trains again, whose settings hold where
    the file has none of its family. Raises SettingError for an unknown family, a setting that it does not have, or a
    family that learns from open loans for a lender without dates.
    """
    given = {name: value for name, value in asdict(lender.policy.cut_off).items() if value is not None}
    bands = tuple(Band(name, upper) for name, upper in lender.policy.bands.items())
    declared, wanted = _declared_model(lender), family or lender.model.family or AUTO
    require_family(wanted, "the family of a model")
    name = TREES if wanted == AUTO else wanted
    if learns_from_open(name) and lender.dates != "known":
        raise SettingError(
            f"the family {name} needs dates of decision, to know how long each loan was observed: {lender.path} says "
            f"`dates: {lender.dates}`; train another family"
        )
    return TrainingSettings(
        exclude=exclude,
        model=_model_of(lender, name, declared, refreshed),
        prefer_simpler=wanted == AUTO,
        refit=lender.model.refit,
        half_life_months=lender.model.half_life_months if lender.dates == "known" else None,
        imbalance=lender.model.imbalance,
        logistic=declared if isinstance(declared, LogisticRegression) else LogisticRegression(),
        calibration=lender.model.calibration or TrainingSettings.calibration,
        cut_off=CutOffRule(**given),
        refer_width=lender.policy.refer_width,
        bands=bands or DEFAULT_BANDS,
    )


def _model_of(lender: Lender, name: str, declared: Family, refreshed: Family | None) -> Family:
    if lender.model.settings and declared.name == name:
        return declared
    return next((each for each in (refreshed, declared) if each and each.name == name), None) or family_of(name)()


def _declared_model(lender: Lender) -> Family:
    """The family of the lender's file, the trees for ``auto``, with the file's settings."""
    wanted = lender.model
    name = wanted.family or AUTO
    require_family(name, f"{lender.path}: model.family")
    return configured(family_of(TREES if name == AUTO else name), wanted.settings, f"{lender.path}: model.settings.")


@dataclass(frozen=True)
class CalibratedModel:
    """A fitted model with its design matrix and calibrator.

    ``of_tune``: calibrated probabilities of tune rows, in their order, from before the model learned from them.
    """

    design_matrix: DesignMatrix
    model: Model
    calibrator: Calibrator
    of_tune: Floats = field(compare=False, repr=False)

    def raw(self, frame: "pd.DataFrame") -> Floats:
        """Uncalibrated probabilities of a feature table's rows."""
        # in parts, because rows on disk must not be encoded in one piece
        starts = range(0, max(len(frame), 1), BATCH_ROWS)
        matrices = (self.design_matrix.encode(frame.iloc[start : start + BATCH_ROWS]) for start in starts)
        return np.concatenate([uncalibrated(self.model.raw_scores(matrix)) for matrix in matrices])

    def probabilities(self, frame: "pd.DataFrame") -> Floats:
        """Calibrated probabilities of default of a feature table's rows."""
        return self.calibrator.apply(self.raw(frame))

    def judged(self, training_set: TrainingSet, split: Split) -> Floats:
        """The probabilities of a split by which the model is judged."""
        return self.of_tune if split == "tune" else self.probabilities(training_set.rows(split))


@dataclass(frozen=True, kw_only=True)
class Candidate(CalibratedModel):
    """A trained model, ready to be evaluated, gated and bundled.

    ``intervals``: of the probabilities, from the tune rows' scores before the model learned from them.
    ``settings``: those that give this model again, with the family that ``family_choice`` says was chosen.
    ``baselines``: ``logistic`` on the same features, the family passed over, an ensemble's members, each as it would be
    alone, and ``lender_rate``, the annual rate alone, if the contract has a varying one. ``base_rate``: default rate
    of tune rows. ``training_seconds``: total wall time.
    """

    source: str
    snapshot: int
    training_set_sha256: str
    settings: TrainingSettings
    family_choice: FamilyChoice | None
    model: FittedModel
    intervals: VennAbers
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
    as_they_are = Samples(training_set, design_matrix, asked.half_life_months)
    samples = replace(as_they_are, imbalance=asked.imbalance)
    baseline = learned = line = _learn(asked.logistic, as_they_are, refit=asked.refit)
    if asked.imbalance != NONE and (asked.prefer_simpler or asked.model == asked.logistic):
        learned = line = _learn(asked.logistic, samples, refit=asked.refit)
    baselines = {LOGISTIC: baseline.calibrated(as_they_are)}
    settings, choice = replace(asked, prefer_simpler=False), None
    if asked.model != asked.logistic:
        learned = trees = _learn(asked.model, samples, refit=asked.refit)
        if asked.prefer_simpler:
            others = (LOGISTIC, line.raw_tune), (asked.model.name, trees.raw_tune)
            choice = choose_family(*others, samples.tune.defaulted)
            if choice.chosen == LOGISTIC:
                baselines[asked.model.name] = trees.calibrated(samples)
                learned, settings = line, replace(settings, model=asked.logistic)
    if _has_rate(training_set, contract):
        everything_else = set(contract.feature_names) - {RATE_FEATURE}
        of_rate = replace(as_they_are, design_matrix=DesignMatrix.from_contract(contract, everything_else))
        baselines[LENDER_RATE] = _learn(asked.logistic, of_rate, refit=asked.refit).calibrated(of_rate)
    baselines |= {f"{MEMBER}{name}": member.calibrated(samples) for name, member in learned.members.items()}
    calibrator = fit_calibrator(learned.raw_tune, samples.tune.defaulted, method=settings.calibration)
    of_tune = calibrator.apply(learned.raw_tune)

    return Candidate(
        source=training_set.source,
        snapshot=training_set.snapshot,
        training_set_sha256=training_set.sha256,
        settings=settings,
        family_choice=choice,
        design_matrix=design_matrix,
        model=learned.model,
        calibrator=calibrator,
        of_tune=of_tune,
        intervals=fit_venn_abers(learned.raw_tune, samples.tune.defaulted),
        policy=Policy(
            settings.cut_off.cut_off(of_tune),
            rule=settings.cut_off,
            bands=settings.bands,
            refer_width=settings.refer_width,
        ),
        baselines=baselines,
        base_rate=float(samples.tune.defaulted.mean()),
        training_seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Learned:
    """A fitted model, and its uncalibrated probabilities of tune rows from before it learned from them.

    ``members``: the same of an ensemble's members, by name.
    """

    model: FittedModel
    raw_tune: Floats
    members: Mapping[str, "_Learned"] = field(default_factory=dict)

    def calibrated(self, samples: Samples) -> CalibratedModel:
        """As a baseline."""
        calibrator = fit_calibrator(self.raw_tune, samples.tune.defaulted, method="platt")
        return CalibratedModel(samples.design_matrix, self.model, calibrator, calibrator.apply(self.raw_tune))


def _learn(family: Family, samples: Samples, *, refit: bool) -> _Learned:
    samples, monotone = samples.read_by(family), samples.design_matrix.monotone_constraints
    first = family.fit(samples.train, samples.tune, monotone)
    return _learned(first, family.refit(first, samples.both, monotone) if refit else first, samples)


def _learned(first: FittedModel, model: FittedModel, samples: Samples) -> _Learned:
    raw_tune = uncalibrated(first.raw_scores(samples.tune.matrix))
    if not isinstance(first, EnsembleModel) or not isinstance(model, EnsembleModel):
        return _Learned(model, raw_tune)
    members = {name: _learned(member, model.members[name], samples) for name, member in first.members.items()}
    return _Learned(model, raw_tune, members)


def _has_rate(training_set: TrainingSet, contract: FeatureContract) -> bool:
    """Whether the lender has a price of its own that varies."""
    return RATE_FEATURE in contract.feature_names and training_set.rows("train")[RATE_FEATURE].nunique() > 1
