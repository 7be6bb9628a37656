"""Calibrate a model's raw probability: of 100 loans scored 0.10, ten default.

Three monotone methods, which never reorder applicants:

- ``platt``: a line in the log-odds (Platt 1999, "Probabilistic outputs for support vector machines");
- ``beta``: a separate slope for each tail (Kull, Silva Filho, Flach 2017, "Beta calibration");
- ``isotonic``: a rising piecewise-linear curve (Zadrozny, Elkan 2002); the most flexible, needs the most data.

Fitted on tune rows, which trained no tree. Applying one needs only NumPy; a value alone or among many gets the same
bits.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.errors import BundleError, SettingError

Floats = NDArray[np.float64]
Method = Literal["platt", "beta", "isotonic"]
#: Half the spacing of float32 at 1: models cannot distinguish values nearer to 0 or 1.
_EDGE = 2.0**-25


def uncalibrated(raw_scores: ArrayLike) -> Floats:
    """The probability of a raw score in log-odds, in float64, as calibrators accept it."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(raw_scores, dtype=np.float64))))


@dataclass(frozen=True)
class LogOddsCalibrator:
    """``logit(p) = a·ln(raw) − b·ln(1 − raw) + c`` with a, b ≥ 0; Platt's is the case a = b."""

    method: Literal["platt", "beta"]
    a: float
    b: float
    c: float

    def apply(self, raw: ArrayLike) -> Floats:
        """Calibrated probabilities, of the shape of ``raw``.

        >>> LogOddsCalibrator("platt", a=1.0, b=1.0, c=0.0).apply([0.25, 0.5]).round(12)
        array([0.25, 0.5 ])
        """
        clipped = np.clip(np.asarray(raw, dtype=np.float64), _EDGE, 1.0 - _EDGE)
        log_odds = self.a * np.log(clipped) - self.b * np.log1p(-clipped) + self.c
        return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), dtype=np.float64)

    def apply_one(self, raw: float) -> float:
        """One value, by NumPy's own functions: ``math.log`` differs from them in the last bit."""
        clipped = min(max(raw, _EDGE), 1.0 - _EDGE)
        log_odds = self.a * float(np.log(clipped)) - self.b * float(np.log1p(-clipped)) + self.c
        return 1.0 / (1.0 + float(np.exp(-log_odds)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class IsotonicCalibrator:
    """A rising line through ``knots`` (raw and calibrated probabilities), flat beyond its ends."""

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def apply(self, raw: ArrayLike) -> Floats:
        """Calibrated probabilities, of the shape of ``raw``.

        >>> IsotonicCalibrator(knots=(0.2, 0.4), values=(0.1, 0.3)).apply([0.0, 0.3, 0.9]).round(12)
        array([0.1, 0.2, 0.3])
        """
        knots, values = np.asarray(self.knots), np.asarray(self.values)
        x = np.clip(np.asarray(raw, dtype=np.float64), knots[0], knots[-1])
        if len(knots) == 1:
            return np.full(x.shape, values[0])
        left = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
        slope = (values[left + 1] - values[left]) / (knots[left + 1] - knots[left])
        # keeps rounding at a segment's end below the next segment's start
        return np.asarray(np.minimum(values[left] + slope * (x - knots[left]), values[left + 1]), dtype=np.float64)

    def apply_one(self, raw: float) -> float:
        """One value, equal to the bit to what :meth:`apply` gives it."""
        knots, values = self.knots, self.values
        if len(knots) == 1:
            return values[0]
        x = min(max(raw, knots[0]), knots[-1])
        left = min(bisect_right(knots, x) - 1, len(knots) - 2)
        slope = (values[left + 1] - values[left]) / (knots[left + 1] - knots[left])
        return min(values[left] + slope * (x - knots[left]), values[left + 1])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"method": "isotonic", "knots": list(self.knots), "values": list(self.values)}


#: A fitted calibration: raw probabilities in [0, 1] to calibrated ones in (0, 1).
Calibrator = LogOddsCalibrator | IsotonicCalibrator


def calibrator_from_dict(data: Mapping[str, Any]) -> Calibrator:
    """The inverse of a calibrator's ``to_dict``; raises BundleError for a method this version does not know."""
    method = data.get("method")
    if method == "isotonic":
        return IsotonicCalibrator(tuple(data["knots"]), tuple(data["values"]))
    if method in ("platt", "beta"):
        return LogOddsCalibrator(method, float(data["a"]), float(data["b"]), float(data["c"]))
    raise BundleError(f"a calibrator's method must be one of {', '.join(get_args(Method))}: found {method!r}")


def fit_calibrator(raw: ArrayLike, defaulted: ArrayLike, *, method: Method | Literal["auto"]) -> Calibrator:
    """Fit one method to tune rows of both classes; ``auto``: that of :func:`choose_method`.

    Raises SettingError for an unknown method.
    """
    if method == "auto":
        method = choose_method(raw, defaulted)
    x = np.clip(np.asarray(raw, dtype=np.float64), _EDGE, 1.0 - _EDGE)
    y = np.asarray(defaulted, dtype=np.float64)
    if method == "isotonic":
        return _fit_isotonic(x, y)
    if method in ("platt", "beta"):
        return _fit_log_odds(x, y, method)
    raise SettingError(f"calibration must be one of auto, {', '.join(get_args(Method))}: found {method!r}")


def choose_method(raw: ArrayLike, defaulted: ArrayLike, *, n_folds: int = 10, seed: int = 0) -> Method:
    """The simplest method that no more flexible one clearly beats by cross-validated log loss.

    From Platt on, a more flexible method must lower the log loss by more than two standard errors of the paired
    differences over the folds. Folds are stratified by outcome, drawn by ``seed``.
    """
    x, y = np.asarray(raw, dtype=np.float64), np.asarray(defaulted, dtype=bool)
    n_folds = min(n_folds, int(y.sum()), int((~y).sum()))
    if n_folds < 2:
        return "platt"
    fold = _stratified_folds(y, n_folds, seed)

    best: Method = "platt"
    losses = _fold_losses(x, y, fold, n_folds, best)
    for method in ("beta", "isotonic"):
        challenger = _fold_losses(x, y, fold, n_folds, method)
        gain = losses - challenger
        if gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(n_folds):
            best, losses = method, challenger
    return best


def _fit_log_odds(x: Floats, y: Floats, method: Literal["platt", "beta"]) -> LogOddsCalibrator:
    from scipy.optimize import minimize

    # Platt's smoothed targets keep the slopes finite where the scores separate the classes
    n_bad = y.sum()
    n_good = len(y) - n_bad
    target = np.where(y > 0, (n_bad + 1.0) / (n_bad + 2.0), 1.0 / (n_good + 2.0))
    terms = np.column_stack([np.log(x), -np.log1p(-x)])
    if method == "platt":
        terms = terms.sum(axis=1, keepdims=True)
    design = np.column_stack([terms, np.ones(len(x))])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        log_odds = design @ parameters
        value = np.mean(np.logaddexp(0.0, log_odds) - target * log_odds)
        slope = design.T @ (1.0 / (1.0 + np.exp(-log_odds)) - target) / len(x)
        return float(value), slope

    n_slopes = terms.shape[1]
    bounds = [(0.0, None)] * n_slopes + [(None, None)]
    start = np.array([1.0] * n_slopes + [0.0])
    options = {"ftol": 1e-14, "gtol": 1e-10, "maxiter": 1000}
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return LogOddsCalibrator(method, a=float(fitted[0]), b=float(fitted[n_slopes - 1]), c=float(fitted[-1]))


def _fit_isotonic(x: Floats, y: Floats) -> IsotonicCalibrator:
    from sklearn.isotonic import IsotonicRegression

    # the outermost blocks can be all good or all bad; no sample proves a probability of 0 or 1
    edge = 1.0 / (len(y) + 2.0)
    fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge, out_of_bounds="clip").fit(x, y)
    return IsotonicCalibrator(
        knots=tuple(float(value) for value in fitted.X_thresholds_),
        values=tuple(float(value) for value in fitted.y_thresholds_),
    )


def _stratified_folds(y: NDArray[np.bool_], n_folds: int, seed: int) -> NDArray[np.intp]:
    generator = np.random.default_rng(seed)
    fold = np.empty(len(y), dtype=np.intp)
    for of_class in (y, ~y):
        fold[of_class] = generator.permutation(np.arange(of_class.sum()) % n_folds)
    return fold


def _fold_losses(x: Floats, y: NDArray[np.bool_], fold: NDArray[np.intp], n_folds: int, method: Method) -> Floats:
    losses = np.empty(n_folds)
    for held_out in range(n_folds):
        inside = fold != held_out
        probability = fit_calibrator(x[inside], y[inside], method=method).apply(x[~inside])
        losses[held_out] = -np.mean(np.where(y[~inside], np.log(probability), np.log1p(-probability)))
    return losses
