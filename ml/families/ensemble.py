"""Ensemble: models of several families whose calibrated log-odds are added with weights that tune rows decide.

Calibration (Platt's) and the sum are both linear in log-odds, so an ensemble is an intercept and a slope for each
member's raw score. Its reasons are the members' reasons in the same sum: exact where theirs are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.families.linear.linear_fit import Floats, least_loss
from ml.families.protocol import Dimension, Family, FittedModel, Matrix, Model, Sample, ServedForm, StreamedSample
from ml.families.settings import configured
from ml.families.single import SINGLE_FAMILIES, find_family, missing_package
from warehouse.errors import SettingError

ENSEMBLE = "ensemble.json"
#: Those that are installed; decision 49 says how they were chosen, and the ridge too.
DEFAULT_MEMBERS = ("xgboost", "logistic")
Method = Literal["mean", "stacking"]


@dataclass(frozen=True)
class Member:
    """A family by name, with its settings; those not given are its defaults."""

    family: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, family: Family) -> Self:
        """The member that is this family with these settings."""
        return cls(family.name, asdict(family))  # type: ignore[call-overload]  # families are dataclasses

    def built(self) -> Family:
        """The family; raises SettingError for one that cannot be a member, or for an unknown setting."""
        kind = _family_of(self.family)
        if kind.learns_from_open:
            raise SettingError(
                f"{self.family} cannot be a member of an ensemble: it learns from loans whose window is still open, "
                "which an ensemble does not read; from mature loans alone it ranks as xgboost does, so name xgboost"
            )
        return configured(kind, self.settings, f"the member {self.family}: ")


@dataclass(frozen=True)
class Weighted:
    """A member in a bundle: its weight on calibrated log-odds, and the slope on its raw score that follows from it.

    A member without a slope has no part in a score and no files.
    """

    family: str
    weight: float
    slope: float


@dataclass(frozen=True)
class Weights:
    """``ensemble.json``: the sum of an intercept and of each member's slope times its raw score."""

    intercept: float
    members: tuple[Weighted, ...]

    def sum_of(self, models: Sequence[Model], matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,); ``models``: of the members that count."""
        total = np.full(len(matrix), self.intercept)
        # one member after the other: a row has the same bits alone and among others
        for (_, member), model in zip(self.counting(), models, strict=True):
            total += member.slope * np.asarray(model.raw_scores(matrix), dtype=np.float64)
        return total.astype(np.float32)

    def counting(self) -> Iterator[tuple[str, Weighted]]:
        """The members with a slope, each with the directory of its files."""
        for place, member in enumerate(self.members):
            if member.slope > 0:
                yield f"members/{place}", member


@dataclass(frozen=True)
class EnsembleModel:
    """Fitted members by name, all of them, in the order of the weights; those without a slope only compare."""

    weights: Weights
    members: Mapping[str, FittedModel]

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,)."""
        return self.weights.sum_of([model for _, model in self._counting()], matrix)

    def importance(self, n_columns: int) -> Floats:
        """The members' shares, by their weights."""
        total = sum(member.weight for member, _ in self._counting())
        shares: Floats = np.zeros(n_columns)
        for member, model in self._counting():
            shares += member.weight / total * model.importance(n_columns)
        return shares

    def write(self, directory: Path, columns: Sequence[str]) -> None:
        """Write the weights, and the files of each member that counts in a directory of its own."""
        text = msgspec.json.format(msgspec.json.encode(self.weights), indent=1).decode()
        (directory / ENSEMBLE).write_text(text + "\n", encoding="utf-8")
        for (place, _), (_, model) in zip(self.weights.counting(), self._counting(), strict=True):
            (directory / place).mkdir(parents=True)
            model.write(directory / place, columns)

    def _counting(self) -> Iterator[tuple[Weighted, FittedModel]]:
        for member, model in zip(self.weights.members, self.members.values(), strict=True):
            if member.slope > 0:
                yield member, model


@dataclass(frozen=True)
class ReadEnsemble:
    """The members that count, each in its library's form."""

    weights: Weights
    models: tuple[Model, ...]

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,)."""
        return self.weights.sum_of(self.models, matrix)


@dataclass(frozen=True)
class ServedEnsemble:
    """The members that count, each in its served form."""

    weights: Weights
    forms: tuple[ServedForm, ...]

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,), equal to the fitted ensemble's to the bit."""
        return self.weights.sum_of(self.forms, matrix)

    @staticmethod
    def points(raw_scores: NDArray[np.float32]) -> None:
        """None: a sum of several models has no points, also if one of them has."""
        del raw_scores

    @staticmethod
    def points_of_one(raw_score: float) -> None:
        """None, likewise."""
        del raw_score

    @property
    def expected(self) -> float:
        """Where the members' contributions start, in the same sum."""
        return self.weights.intercept + sum(member.slope * form.expected for member, form in self._members())

    def contributions(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """The members' contributions in the same sum, shape (n_columns,)."""
        total = np.zeros(row.shape[-1])
        for member, form in self._members():
            total += member.slope * form.contributions(row)
        return total

    def _members(self) -> Iterator[tuple[Weighted, ServedForm]]:
        for (_, member), form in zip(self.weights.counting(), self.forms, strict=True):
            yield member, form


@dataclass(frozen=True)
class Ensemble:
    """A weighted sum of members, in calibrated log-odds; no weight is negative, so common directions stay.

    ``members``: families, by name or with settings; by default :data:`DEFAULT_MEMBERS`, as far as they are installed.
    Each is fitted on train rows and calibrated on tune rows by Platt's method. ``method``: ``mean`` has weights that
    sum to 1; ``stacking`` is a logistic regression on the members' log-odds. Both take the least log loss of tune rows,
    with a ridge of weight ``l2``: it draws the weights of a mean to equal ones, and those of a stacking to 0. A refit
    learns each member again and keeps the weights.
    """

    name: ClassVar[str] = "ensemble"
    #: Besides those of its members, which stand in directories of their own.
    files: ClassVar[tuple[str, ...]] = (ENSEMBLE,)
    space: ClassVar[tuple[Dimension, ...]] = (Dimension("l2", 0.1, 10_000, is_log=True),)
    #: Nor can a family that does be a member: see :meth:`Member.built`.
    learns_from_open: ClassVar[bool] = False

    members: tuple[Member | str, ...] = ()
    method: Method = "mean"
    l2: float = 100.0

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise SettingError(f"method must be one of {', '.join(get_args(Method))}: found {self.method!r}")
        if self.l2 < 0:
            raise SettingError(f"l2 must be at least 0: found {self.l2}")
        named = self.members or tuple(_installed(DEFAULT_MEMBERS))
        members = [Member(each) if isinstance(each, str) else each for each in named]
        # with all settings: the lineage must give this model again, also after a default has changed
        complete = tuple(Member.of(member.built()) for member in members)
        if len(complete) < 2:
            raise SettingError(f"an ensemble must have two members or more: found {len(complete)}")
        if any(member in complete[:place] for place, member in enumerate(complete)):
            raise SettingError(
                "the members of an ensemble must differ in family or settings: found twice "
                + next(member.family for place, member in enumerate(complete) if member in complete[:place])
            )
        object.__setattr__(self, "members", complete)

    @property
    def score_bound(self) -> float:
        """The members' bounds together: a weight is about 1 or less."""
        return sum(family.score_bound for family in self.built().values())

    @property
    def reasons_are_exact(self) -> bool:
        """Whether every member's are."""
        return all(family.reasons_are_exact for family in self.built().values())

    @property
    def keeps_directions(self) -> bool:
        """Whether every member does; no weight is negative."""
        return all(family.keeps_directions for family in self.built().values())

    def built(self) -> dict[str, Family]:
        """The members' families by name; a second one of a family has a number."""
        found: dict[str, Family] = {}
        for family in (member.built() for member in self.members if isinstance(member, Member)):
            n_before = sum(type(each) is type(family) for each in found.values())
            found[f"{family.name}_{n_before + 1}" if n_before else family.name] = family
        return found

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> EnsembleModel:
        """Fit each member on ``train`` as it would be alone, then the weights on ``tune``."""
        return self.weighed({name: family.fit(train, tune, monotone) for name, family in self.built().items()}, tune)

    def weighed(self, members: Mapping[str, FittedModel], tune: Sample) -> EnsembleModel:
        """The members, by the names of :meth:`built`, with weights that ``tune`` decides; they must not know it."""
        raw = np.column_stack([model.raw_scores(tune.matrix) for model in members.values()]).astype(np.float64)
        calibrations = [least_loss(column[:, None], tune, [(0.0, None), (None, None)], 0.0) for column in raw.T]
        platt_slopes = np.array([float(slope[0]) for slope, _ in calibrations])
        shifts = np.array([shift for _, shift in calibrations])
        weigh = _mean_weights if self.method == "mean" else _stacked_weights
        # a member that ranks the wrong way is a constant once calibrated
        ranks, weights, intercept = platt_slopes > 0, np.zeros(len(members)), shifts.mean()
        if ranks.any():
            weights[ranks], intercept = weigh((raw * platt_slopes + shifts)[:, ranks], tune, self.l2)
        return EnsembleModel(
            Weights(
                intercept=float(intercept + weights @ shifts),
                members=tuple(
                    Weighted(family.name, float(weight), float(weight * slope))
                    for family, weight, slope in zip(self.built().values(), weights, platt_slopes, strict=True)
                ),
            ),
            members,
        )

    def refit(self, model: EnsembleModel, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> EnsembleModel:
        """Refit each member; the weights stay, since no member may be weighed on rows that it has learned from."""
        refitted = {name: family.refit(model.members[name], rows, monotone) for name, family in self.built().items()}
        return EnsembleModel(model.weights, refitted)

    def packages(self) -> dict[str, str]:
        """The members' libraries, and SciPy, whose optimiser fits the weights."""
        import scipy

        found = {"scipy": str(scipy.__version__)}
        for family in self.built().values():
            found |= family.packages()
        return found

    @staticmethod
    def read(directory: Path) -> ReadEnsemble:
        """Each member in its library's form."""
        weights = read_weights(directory)
        forms = (_family_of(member.family).read(directory / place) for place, member in weights.counting())
        return ReadEnsemble(weights, tuple(forms))

    @staticmethod
    def open(directory: Path) -> ServedEnsemble:
        """Each member in its served form."""
        weights = read_weights(directory)
        forms = (_family_of(member.family).open(directory / place) for place, member in weights.counting())
        return ServedEnsemble(weights, tuple(forms))


def _mean_weights(log_odds: Floats, tune: Sample, l2: float) -> tuple[Floats, float]:
    """Weights that are not negative and sum to 1, and no intercept."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    n, n_members = log_odds.shape
    target, equal = tune.defaulted.astype(np.float64), np.full(n_members, 1 / n_members)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed, apart = log_odds @ weights, weights - equal
        value = np.mean(np.logaddexp(0.0, mixed) - target * mixed) + l2 / (2 * n) * apart @ apart
        slope = log_odds.T @ (1.0 / (1.0 + np.exp(-mixed)) - target) / n + l2 / n * apart
        return float(value), slope

    with threadpool_limits(1, "blas"):
        fitted = minimize(
            loss,
            equal,
            jac=True,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * n_members,
            constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0, "jac": np.ones_like},
            options={"ftol": 1e-12, "maxiter": 500},
        ).x
    weights = np.where(fitted > 1e-6, fitted, 0.0)
    return weights / weights.sum(), 0.0


def _stacked_weights(log_odds: Floats, tune: Sample, l2: float) -> tuple[Floats, float]:
    """Weights that are not negative, and an intercept."""
    return least_loss(log_odds, tune, [*[(0.0, None)] * log_odds.shape[1], (None, None)], l2)


def read_weights(directory: Path) -> Weights:
    """The weights of an ensemble's bundle; raises ValueError for a file of another content."""
    return msgspec.json.decode((directory / ENSEMBLE).read_bytes(), type=Weights)


def _installed(names: Sequence[str]) -> Iterator[str]:
    return (name for name in names if missing_package(_family_of(name)) is None)


def _family_of(name: str) -> type[Family]:
    return find_family(name, SINGLE_FAMILIES, "a member of an ensemble")
