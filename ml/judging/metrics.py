"""Quality of default probabilities by outcomes: ranking, calibration, and decisions at a cut-off.

``defaulted`` is boolean, shape (n_loans,); ``probability`` a float of the same shape, higher meaning riskier.

A figure that the rows cannot give (the AUC of a month without a default, a precision without declines) is ``nan``,
never an exception or an invented 0.5: tables by month stay complete, and JSON writes it as null.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import erfc, isnan, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
SplitKind = Literal["out of time", "random split"]
NAN = float("nan")
#: Two-sided 95 %: the 0.975 quantile of the standard normal distribution.
Z95 = 1.959963984540054
ECE_BINS = 10
_LOG_EDGE = 1e-15


@dataclass(frozen=True)
class AucEstimate:
    """An area under the ROC curve with DeLong's standard error and 95 % interval (normal, cut to [0, 1])."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """One model's figure minus another's on the same loans, with 95 % interval and two-sided p-value."""

    value: float
    standard_error: float
    low: float
    high: float
    p_value: float

    @property
    def opposite(self) -> "PairedDifference":
        """The other model's figure minus this one's."""
        return PairedDifference(-self.value, self.standard_error, -self.high, -self.low, self.p_value)

    @property
    def text(self) -> str:
        """The difference with its interval, for a message."""
        return f"{self.value:+.4f}, {self.low:+.4f} to {self.high:+.4f}"


@dataclass(frozen=True)
class Metrics:
    """All figures of one model on one set of loans; "predicted default": probability at or above the cut-off."""

    n: int
    n_defaults: int
    default_rate: float
    mean_probability: float
    auc: float
    auc_low: float
    auc_high: float
    gini: float
    ks: float
    brier: float
    log_loss: float
    ece: float
    ece_by_chance: float
    cut_off: float
    decline_rate: float
    precision: float
    recall: float
    f1: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: ``nan`` becomes None."""
        return {name: None if isnan(value) else value for name, value in asdict(self).items()}


def candidate_on_test(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The candidate's figures on all test rows, from a bundle's ``metrics.json``."""
    of_test = ("test", None, "candidate")
    found: dict[str, Any] = next(
        row for row in metrics["measured"] if (row["split"], row["month"], row["model"]) == of_test
    )
    return found


def kind_of_split(train_months: Iterable[str], test_months: Iterable[str]) -> SplitKind:
    """Whether test rows were decided after all train rows ("2011-07" is after "2011-06"), or drawn at random.

    >>> kind_of_split(["2010-11", "2010-12"], ["2011-01"]), kind_of_split(["2005-10"], ["2005-10"])
    ('out of time', 'random split')
    """
    return "out of time" if min(test_months, default="") > max(train_months, default="") else "random split"


def measured_split(metrics: Mapping[str, Any]) -> SplitKind:
    """The same of a bundle's ``metrics.json``."""
    months: dict[str, set[str]] = {"train": set(), "tune": set(), "test": set()}
    for row in metrics["measured"]:
        if row["month"] is not None:
            months[row["split"]].add(row["month"])
    return kind_of_split(months["train"], months["test"])


def measure(defaulted: ArrayLike, probability: ArrayLike, *, cut_off: float) -> Metrics:
    """All figures; without rows the counts are 0 and the rest ``nan``."""
    y, p = _arrays(defaulted, probability)
    declined = p >= cut_off
    true_positives = int((declined & y).sum())
    false_positives = int(declined.sum()) - true_positives
    false_negatives = int(y.sum()) - true_positives
    auc = roc_auc(y, p)
    return Metrics(
        n=len(y),
        n_defaults=int(y.sum()),
        default_rate=_share(y.sum(), len(y)),
        mean_probability=_share(p.sum(), len(y)),
        auc=auc.value,
        auc_low=auc.low,
        auc_high=auc.high,
        gini=2 * auc.value - 1,
        ks=ks(y, p),
        brier=brier(y, p),
        log_loss=log_loss(y, p),
        ece=ece(y, p),
        ece_by_chance=ece_by_chance(p),
        cut_off=cut_off,
        decline_rate=_share(declined.sum(), len(y)),
        precision=_share(true_positives, true_positives + false_positives),
        recall=_share(true_positives, true_positives + false_negatives),
        f1=_share(2 * true_positives, 2 * true_positives + false_positives + false_negatives),
        true_positives=true_positives,
        false_positives=false_positives,
        true_negatives=len(y) - true_positives - false_positives - false_negatives,
        false_negatives=false_negatives,
    )


def roc_auc(defaulted: ArrayLike, probability: ArrayLike) -> AucEstimate:
    """The probability that a defaulted loan is scored above a good one (ties count half), and its interval.

    Variance: DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837–845, computed from midranks in O(n log n) as Sun,
    Xu, IEEE Signal Processing Letters 21 (2014) 1389–1393. ``nan`` with one class; no interval if a class has a single
    loan.

    >>> round(roc_auc([False, True, False, True], [0.1, 0.4, 0.35, 0.8]).value, 6)
    1.0
    """
    y, p = _arrays(defaulted, probability)
    placements = _placements(y, p)
    if placements is None:
        return AucEstimate(NAN, NAN, NAN, NAN)
    of_bad, of_good = placements
    value = float(of_bad.mean())
    error = _standard_error(of_bad, of_good)
    low, high = np.clip([value - Z95 * error, value + Z95 * error], 0.0, 1.0)
    return AucEstimate(value, error, float(low), float(high))


def auc_difference(defaulted: ArrayLike, first: ArrayLike, second: ArrayLike) -> PairedDifference:
    """DeLong's paired test on the same loans (see :func:`roc_auc`); equal order gives exactly 0, p-value 1."""
    y, p = _arrays(defaulted, first)
    _, q = _arrays(defaulted, second)
    of_first, of_second = _placements(y, p), _placements(y, q)
    if of_first is None or of_second is None:
        return PairedDifference(NAN, NAN, NAN, NAN, NAN)
    of_bad, of_good = of_first[0] - of_second[0], of_first[1] - of_second[1]
    return _difference(float(of_bad.mean()), _standard_error(of_bad, of_good))


def brier_difference(defaulted: ArrayLike, first: ArrayLike, second: ArrayLike) -> PairedDifference:
    """Paired test of two models' squared errors on the same loans; negative: the first is better."""
    y, p = _arrays(defaulted, first)
    _, q = _arrays(defaulted, second)
    if len(y) < 2:
        return PairedDifference(NAN, NAN, NAN, NAN, NAN)
    gap = (p - y) ** 2 - (q - y) ** 2
    return _difference(float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap))))


def ks(defaulted: ArrayLike, probability: ArrayLike) -> float:
    """The greatest gap between the shares of bad and of good loans at or below a score (Kolmogorov–Smirnov), 0..1."""
    y, p = _arrays(defaulted, probability)
    n_bad = int(y.sum())
    if n_bad in (0, len(y)):
        return NAN
    order = np.argsort(p, kind="stable")
    y, p = y[order], p[order]
    last_of_tie = np.append(p[1:] != p[:-1], True)
    bad = np.cumsum(y)[last_of_tie] / n_bad
    good = np.cumsum(~y)[last_of_tie] / (len(y) - n_bad)
    return float(np.abs(good - bad).max())


def brier(defaulted: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference between probability and outcome."""
    y, p = _arrays(defaulted, probability)
    return float(np.mean((p - y) ** 2)) if len(y) else NAN


def log_loss(defaulted: ArrayLike, probability: ArrayLike) -> float:
    """Mean negative log likelihood in nats; probabilities are kept 1e-15 away from 0 and 1."""
    y, p = _arrays(defaulted, probability)
    p = np.clip(p, _LOG_EDGE, 1 - _LOG_EDGE)
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p)))) if len(y) else NAN


def ece(defaulted: ArrayLike, probability: ArrayLike, *, n_bins: int = ECE_BINS) -> float:
    """Expected calibration error: |default rate − mean probability| over bins of equal numbers of loans.

    Loans of equal probability share a bin, so the figure does not depend on row order.
    """
    bins = reliability(defaulted, probability, n_bins=n_bins)
    return float(np.average(np.abs(bins.default_rate - bins.mean_probability), weights=bins.n)) if len(bins.n) else NAN


def ece_by_chance(probability: ArrayLike, *, n_bins: int = ECE_BINS) -> float:
    """The ECE that chance alone gives a perfectly calibrated model on the same number of loans.

    In a bin of n loans the default rate scatters by s = sqrt(Σ p(1 − p)) / n; a normal deviation has the mean absolute
    value s·sqrt(2/π).
    """
    p = np.asarray(probability, dtype=np.float64)
    if not len(p):
        return NAN
    code = equal_mass_bins(p, n_bins)
    scatter = np.sqrt(np.bincount(code, weights=p * (1 - p), minlength=n_bins))
    return float(scatter.sum() * np.sqrt(2 / np.pi) / len(p))


@dataclass(frozen=True)
class Reliability:
    """Bins of equal numbers of loans, safest first, without empty ones, for a calibration plot."""

    n: NDArray[np.int64]
    mean_probability: Floats
    default_rate: Floats


def reliability(defaulted: ArrayLike, probability: ArrayLike, *, n_bins: int = ECE_BINS) -> Reliability:
    """Mean probability and default rate in each of up to ``n_bins`` bins."""
    y, p = _arrays(defaulted, probability)
    code = equal_mass_bins(p, n_bins)
    n = np.bincount(code, minlength=n_bins)
    filled = n > 0
    return Reliability(
        n=n[filled].astype(np.int64),
        mean_probability=np.bincount(code, weights=p, minlength=n_bins)[filled] / n[filled],
        default_rate=np.bincount(code, weights=y.astype(np.float64), minlength=n_bins)[filled] / n[filled],
    )


@dataclass(frozen=True)
class BrierParts:
    """The Brier score as ``reliability - resolution + uncertainty``, exactly.

    ``reliability``: what calibrating the probabilities anew would gain; 0 is perfect. ``resolution``: what the order of
    the loans gains over one rate for all. ``uncertainty``: the Brier score of the loans' own default rate.
    """

    reliability: float
    resolution: float
    uncertainty: float


def brier_parts(defaulted: ArrayLike, probability: ArrayLike) -> BrierParts:
    """Decompose the Brier score without bins, whose number would decide the parts.

    "Calibrated anew" is isotonic regression on these loans (Dimitriadis, Gneiting, Jordan, PNAS 118 (2021)
    e2016191118). It fits their chance too, so that both parts are a little above 0 for any model.

    >>> brier_parts([False, True], [0.5, 0.5])
    BrierParts(reliability=0.0, resolution=0.0, uncertainty=0.25)
    """
    from sklearn.isotonic import IsotonicRegression

    y, p = _arrays(defaulted, probability)
    if not len(y):
        return BrierParts(NAN, NAN, NAN)
    best = brier(y, np.clip(IsotonicRegression().fit(p, y).predict(p), 0.0, 1.0))
    rate = float(y.mean())
    uncertainty = rate * (1 - rate)
    return BrierParts(brier(y, p) - best, uncertainty - best, uncertainty)


def h_measure(defaulted: ArrayLike, probability: ArrayLike, *, severity: tuple[float, float] | None = None) -> float:
    """How much of the loss by wrong decisions a model's ranking saves, 0..1, if nobody knows what a mistake costs.

    Hand, "Measuring classifier performance: a coherent alternative to the area under the ROC curve", Machine Learning
    77 (2009) 103–123. Declining a good loan costs c, granting a bad one 1 − c, and c has a Beta distribution with the
    parameters ``severity``; None: 1 + π1 and 1 + π0, π1 being the default rate. Its mode is π1, where all defaults
    together cost what all good loans do (Hand, Anagnostopoulos, "A better Beta for the H measure of classification
    performance", Pattern Recognition Letters 40 (2014) 41–46). The loss is that at the best threshold for each c, over
    that of one decision for all loans. Unlike the AUC it weighs mistakes alike for every model; like it, it does not
    depend on the level of the probabilities.

    The best threshold for c declines where the default rate of the convex hull of the ROC curve, which is that of
    isotonic regression, is above c; so the integral is a sum over its steps. ``nan`` with one class.
    """
    from scipy.special import betainc
    from sklearn.isotonic import IsotonicRegression

    y, p = _arrays(defaulted, probability)
    rate = _share(y.sum(), len(y))
    if not 0 < rate < 1:
        return NAN
    a, b = severity or (1 + rate, 2 - rate)

    def loss(risk: Floats, n: NDArray[np.int64]) -> float:
        """Of groups of loans with default rates ``risk``: declined for c below it, else granted."""
        declined = (1 - risk) * a / (a + b) * betainc(a + 1, b, risk)
        granted = risk * b / (a + b) * (1 - betainc(a, b + 1, risk))
        return float(np.average(declined + granted, weights=n))

    fitted = np.clip(IsotonicRegression().fit(p, y).predict(p), 0.0, 1.0)
    risk, n = np.unique(fitted, return_counts=True)
    return 1 - loss(risk, n) / loss(np.array([rate]), np.array([len(y)]))


def _arrays(defaulted: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    y, p = np.asarray(defaulted, dtype=np.bool_), np.asarray(probability, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1:
        raise ValueError(f"outcomes and probabilities must be vectors of one length: found {y.shape} and {p.shape}")
    if np.isnan(p).any():
        raise ValueError(f"probabilities must not be missing: found nan in {int(np.isnan(p).sum())} of {len(p)}")
    return y, p


def _placements(y: NDArray[np.bool_], p: Floats) -> tuple[Floats, Floats] | None:
    """For each bad loan the share of good ones below it, for each good loan the share of bad ones above it."""
    n_bad = int(y.sum())
    n_good = len(y) - n_bad
    if n_bad == 0 or n_good == 0:
        return None
    ranks = _midranks(p)
    of_bad = (ranks[y] - _midranks(p[y])) / n_good
    of_good = 1.0 - (ranks[~y] - _midranks(p[~y])) / n_bad
    return of_bad, of_good


def _standard_error(of_bad: Floats, of_good: Floats) -> float:
    if len(of_bad) < 2 or len(of_good) < 2:
        return NAN
    return float(np.sqrt(of_bad.var(ddof=1) / len(of_bad) + of_good.var(ddof=1) / len(of_good)))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2.0)[code], dtype=np.float64)


def equal_mass_bins(p: Floats, n_bins: int) -> NDArray[np.int64]:
    """Each loan's bin, from 0, of bins of about equal numbers of loans; equal probabilities share a bin."""
    if not len(p):
        return np.empty(0, dtype=np.int64)
    return np.minimum((_midranks(p) - 0.5) / len(p) * n_bins, n_bins - 1).astype(np.int64)


def _difference(value: float, error: float) -> PairedDifference:
    if error == 0:
        return PairedDifference(value, 0.0, value, value, 1.0 if value == 0 else 0.0)
    two_sided = erfc(abs(value / error) / sqrt(2))
    return PairedDifference(value, error, value - Z95 * error, value + Z95 * error, two_sided)


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else NAN
