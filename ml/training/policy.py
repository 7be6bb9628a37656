"""From a probability of default to a decision: the cut-off, the referral to a person, and the risk bands.

The default cut-off is where lending stops paying: a good loan earns ``margin``, a bad one loses ``loss_given_default``
(fractions of the amount lent), so the expected profit, ``(1 − p)·margin − p·loss_given_default``, is positive exactly
below ``margin / (margin + loss_given_default)`` (Elkan 2001, "The foundations of cost-sensitive learning", eq. 2). Each
loan may also cost ``cost_of_capital``, and each good applicant who is declined ``declined_good_cost``: then the bound
is ``(margin + declined_good_cost − cost_of_capital) / (margin + declined_good_cost + loss_given_default)``. With
calibrated probabilities no search over tune rows does better in expectation, and no noise enters. A lender who steers
by volume sets an approval rate.

A lender may leave uncertain decisions to a person: an application is referred where the probability's interval
(:mod:`ml.calibration.venn_abers`) has the cut-off inside and is wider than ``refer_width``.

Bands are fixed on the probability scale, as a bank's master scale: a band means the same for every model and month.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.errors import SettingError

Decision = Literal["approve", "decline", "refer"]
Rule = Literal["expected_profit", "approval_rate", "fixed"]
#: All decisions; :meth:`Policy.decision_codes` gives places in it.
DECISION_WORDS: tuple[Decision, ...] = get_args(Decision)
#: Of a cut-off: 0.15 / 0.75 is 0.19999999999999998 in floating point.
_DIGITS = 12


#: A reason makes at least this share of an applicant's adverse contributions. They add up, so a share is comparable
#: between applicants and models; a least log-odds is not. Below a twentieth a value moves no decision.
LEAST_REASON_SHARE = 0.05


@dataclass(frozen=True)
class CutOffRule:
    """How the cut-off is found.

    ``expected_profit`` uses ``margin``, ``loss_given_default``, ``cost_of_capital`` and ``declined_good_cost``,
    lifetime fractions of the amount lent; ``approval_rate`` approves that share of the tune rows; ``fixed`` uses
    ``probability``. The defaults (0.15 earned, 0.60 lost) give 0.20; they are an unsecured lender's round figures: set
    your own.
    """

    rule: Rule = "expected_profit"
    margin: float = 0.15
    loss_given_default: float = 0.60
    approval_rate: float = 0.80
    probability: float = 0.20
    cost_of_capital: float = 0.0
    declined_good_cost: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in ("expected_profit", "approval_rate", "fixed"):
            raise SettingError(f"a cut-off rule must be expected_profit, approval_rate or fixed: found {self.rule!r}")
        for name in ("margin", "loss_given_default"):
            fraction = getattr(self, name)
            if not 0 < fraction < float("inf"):
                raise SettingError(f"{name} must be a positive fraction of the amount lent: found {fraction}")
        for name in ("cost_of_capital", "declined_good_cost"):
            fraction = getattr(self, name)
            if not 0 <= fraction < float("inf"):
                raise SettingError(f"{name} must be a fraction of the amount lent, 0 or more: found {fraction}")
        if self.cost_of_capital >= self.margin + self.declined_good_cost:
            raise SettingError(
                "cost_of_capital must be below margin and declined_good_cost together, or no loan pays: found "
                f"{self.cost_of_capital} against {self.margin} and {self.declined_good_cost}"
            )
        for name in ("approval_rate", "probability"):
            share = getattr(self, name)
            if not 0 < share < 1:
                raise SettingError(f"{name} must be within (0, 1): found {share}")

    def cut_off(self, tune_probabilities: ArrayLike) -> float:
        """The probability from which on an application is declined.

        >>> CutOffRule(margin=0.15, loss_given_default=0.6).cut_off([])
        0.2
        """
        if self.rule == "expected_profit":
            return self.break_even
        if self.rule == "fixed":
            return self.probability
        return round(float(np.quantile(np.asarray(tune_probabilities, dtype=np.float64), self.approval_rate)), _DIGITS)

    @property
    def break_even(self) -> float:
        """The probability at which a loan earns as much as declining it; at most 1.

        >>> CutOffRule(margin=0.2, loss_given_default=0.5, cost_of_capital=0.05, declined_good_cost=0.1).break_even
        0.3125
        """
        worth_of_good = self.margin + self.declined_good_cost
        return round((worth_of_good - self.cost_of_capital) / (worth_of_good + self.loss_given_default), _DIGITS)

    def worth(self, defaulted: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each loan earns if it is approved, and if it is declined, as fractions of the amount lent."""
        bad = np.asarray(defaulted, dtype=np.bool_)
        approved = np.where(bad, -self.loss_given_default, self.margin) - self.cost_of_capital
        return approved, np.where(bad, 0.0, -self.declined_good_cost)

    def profit_per_loan(self, declined: ArrayLike, defaulted: ArrayLike) -> float:
        """What these decisions would have earned by the outcomes, per application, as a fraction of the amount lent.

        Each approved loan counts the same: it earns ``margin``, or loses ``loss_given_default``, less
        ``cost_of_capital``. A declined one gives nothing, and costs ``declined_good_cost`` if it was good.

        >>> CutOffRule(margin=0.15, loss_given_default=0.6).profit_per_loan([False, False, True], [False, True, True])
        -0.15
        """
        if_approved, if_declined = self.worth(defaulted)
        return float(np.mean(np.where(np.asarray(declined, dtype=np.bool_), if_declined, if_approved)))


@dataclass(frozen=True)
class Band:
    """Probabilities below ``upper`` that no safer band holds."""

    name: str
    upper: float


#: Risk about doubles per step, from prime to what an unsecured lender hardly ever approves.
DEFAULT_BANDS = (
    Band("very_low", 0.02),
    Band("low", 0.05),
    Band("moderate", 0.10),
    Band("elevated", 0.20),
    Band("high", 0.35),
    Band("very_high", 1.0),
)


@dataclass(frozen=True)
class Policy:
    """A cut-off, its rule, and the bands from safest to riskiest; the last band holds everything above.

    ``refer_width``: an application is referred where low < cut-off < high and high − low is above this; None: never.
    ``least_reason_share``: least share of all adverse contributions for a reason.
    """

    cut_off: float
    rule: CutOffRule = CutOffRule()
    bands: tuple[Band, ...] = DEFAULT_BANDS
    refer_width: float | None = None
    least_reason_share: float = LEAST_REASON_SHARE

    def __post_init__(self) -> None:
        if not 0 < self.cut_off <= 1:
            raise SettingError(f"a cut-off must be within (0, 1]: found {self.cut_off}")
        if self.refer_width is not None and not 0 <= self.refer_width < 1:
            raise SettingError(f"refer_width must be within [0, 1), or None: found {self.refer_width}")
        uppers = [band.upper for band in self.bands]
        rising = all(low < high for low, high in pairwise([0.0, *uppers]))
        if not uppers or not rising or uppers[-1] != 1.0:
            raise SettingError(f"risk bands must have rising upper bounds that end at 1: found {uppers}")
        if not 0 <= self.least_reason_share <= 1:
            raise SettingError(f"least_reason_share must be within [0, 1]: found {self.least_reason_share}")
        if len({band.name for band in self.bands}) != len(self.bands):
            raise SettingError(f"risk bands must have different names: found {[band.name for band in self.bands]}")

    def decide(self, probability: float, low: float, high: float) -> Decision:
        """``decline`` from the cut-off on, ``approve`` below it, ``refer`` where the interval is too uncertain.

        >>> Policy(cut_off=0.2).decide(0.2, 0.1, 0.3)
        'decline'
        >>> Policy(cut_off=0.2, refer_width=0.05).decide(0.15, 0.12, 0.21)
        'refer'
        """
        if self.refer_width is not None and low < self.cut_off < high and high - low > self.refer_width:
            return "refer"
        return "decline" if probability >= self.cut_off else "approve"

    def band(self, probability: float) -> str:
        """The name of the band that holds the probability; a bound belongs to the riskier band.

        >>> Policy(cut_off=0.2).band(0.05)
        'moderate'
        """
        return self.bands[bisect_right(self._inner_bounds, probability)].name

    def decision_codes(self, probabilities: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.int8]:
        """The places in :data:`DECISION_WORDS` of :meth:`decide`, for many values."""
        p, below, above = (np.asarray(values, dtype=np.float64) for values in (probabilities, low, high))
        codes = np.where(p >= self.cut_off, DECISION_WORDS.index("decline"), DECISION_WORDS.index("approve"))
        if self.refer_width is not None:
            is_uncertain = (below < self.cut_off) & (self.cut_off < above) & (above - below > self.refer_width)
            codes = np.where(is_uncertain, DECISION_WORDS.index("refer"), codes)
        return codes.astype(np.int8)

    def band_codes(self, probabilities: ArrayLike) -> NDArray[np.intp]:
        """The places in ``bands`` of :meth:`band`, for many values."""
        return np.searchsorted(self._inner_bounds, np.asarray(probabilities, dtype=np.float64), side="right")

    @cached_property
    def _inner_bounds(self) -> tuple[float, ...]:
        return tuple(band.upper for band in self.bands[:-1])
