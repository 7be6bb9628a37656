"""Business figures of every cut-off on the same matured loans, by one sort.

A loan that is approved earns or loses what :class:`ml.training.policy.CutOffRule` says; the amounts are fractions of
the amount lent, per application. All figures are of loans with an outcome. Of applicants who were declined there is
none: a cut-off above the one that they were declined by is judged by the few that were granted all the same.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.training.policy import CutOffRule
from warehouse.errors import SettingError

Floats = NDArray[np.float64]

#: Fewer defaults say nothing about a cut-off: the interval of their rate alone is wider than ± 28 % of it.
MIN_DEFAULTS: Final = 50
N_RESAMPLES: Final = 200
_Z95: Final = 1.959963984540054


@dataclass(frozen=True)
class CutOffFigures:
    """What a cut-off comes to on ``n`` loans; all amounts are per application, as fractions of the amount lent.

    ``expected_loss``: of the approved, by their probabilities; ``realised_loss``: by their outcomes. A false approval
    is an approved loan that defaulted; its cost is the loss. A false decline is a declined loan that was repaid; its
    cost is the margin, less the capital that was not used, and what the lost customer costs. ``profit_low`` and
    ``profit_high``: 95 % interval for other loans of the same kind.
    """

    cut_off: float
    n: int
    n_approved: int
    default_rate: float | None
    expected_loss: float
    realised_loss: float
    revenue: float
    n_false_approvals: int
    n_false_declines: int
    false_decline_cost: float
    profit: float
    profit_low: float
    profit_high: float

    @property
    def approval_rate(self) -> float:
        """Share of the loans that are approved."""
        return self.n_approved / self.n


@dataclass(frozen=True)
class Move:
    """What another cut-off would have earned more, per application, on the same loans, with its paired interval."""

    gain: float
    low: float
    high: float
    n_newly_approved: int
    n_newly_declined: int


@dataclass(frozen=True)
class Best:
    """The cut-off that would have earned most, and what choosing one in this way is worth.

    ``low``, ``high``: middle 95 % of the best cut-offs of resampled loans. ``gain``: mean gain over the cut-off in
    force where the cut-off is chosen on a resample and measured on the loans that the resample left out; ``gain_low``
    and ``gain_high``: its middle 95 %. The gain on the loans that chose it is flattered; this one is not (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, section 17.7).
    """

    cut_off: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float

    @property
    def is_shown(self) -> bool:
        """Whether the loans show that such a choice earns more than the cut-off in force."""
        return self.gain_low > 0


class ProfitCurve:
    """Matured loans in the order of their probability, so that each cut-off is a place among them.

    ``amounts``: what each loan weighs, such as the amount lent; None: all weigh the same. Raises SettingError for fewer
    than ``MIN_DEFAULTS`` defaults or repaid loans.

    >>> rule = CutOffRule(margin=0.15, loss_given_default=0.6)
    >>> curve = ProfitCurve(np.repeat([0.1, 0.3], 100), np.repeat([False, True, False], [50, 100, 50]), rule)
    >>> round(curve.at(0.2).profit, 4), round(curve.at(1.0).profit, 4)
    (-0.1125, -0.225)
    """

    def __init__(
        self, probabilities: ArrayLike, defaulted: ArrayLike, rule: CutOffRule, *, amounts: ArrayLike | None = None
    ) -> None:
        p, bad = np.asarray(probabilities, dtype=np.float64), np.asarray(defaulted, dtype=np.bool_)
        n_bad = int(bad.sum())
        if min(n_bad, len(bad) - n_bad) < MIN_DEFAULTS:
            raise SettingError(
                f"a cut-off is judged by at least {MIN_DEFAULTS} matured loans that defaulted and as many that were "
                f"repaid: found {n_bad:,} and {len(bad) - n_bad:,}; wait until more have matured"
            )
        order = np.argsort(p, kind="stable")
        weights = np.ones(len(p)) if amounts is None else np.asarray(amounts, dtype=np.float64)[order]
        self.rule, self.n = rule, len(p)
        self.probabilities, self.defaulted = p[order], bad[order]
        self.weights = weights / weights.mean()
        if_approved, if_declined = rule.worth(self.defaulted)
        self._if_approved, self._if_declined = if_approved * self.weights, if_declined * self.weights

    def at(self, cut_off: float) -> CutOffFigures:
        """All figures of a cut-off: probabilities from it on are declined."""
        place = self._place(cut_off)
        profit, deviation = self._profits[place], self._deviations[place]
        approved, declined = slice(0, place), slice(place, self.n)
        bad, rule = self.defaulted, self.rule
        n_bad = int(bad[approved].sum())
        of_good, of_bad = self.weights * ~bad, self.weights * bad
        forgone = rule.margin - rule.cost_of_capital + rule.declined_good_cost
        expected_defaults = float(np.dot(self.probabilities[approved], self.weights[approved]))
        return CutOffFigures(
            cut_off=cut_off,
            n=self.n,
            n_approved=place,
            default_rate=n_bad / place if place else None,
            expected_loss=rule.loss_given_default * expected_defaults / self.n,
            realised_loss=rule.loss_given_default * float(of_bad[approved].sum()) / self.n,
            revenue=rule.margin * float(of_good[approved].sum()) / self.n,
            n_false_approvals=n_bad,
            n_false_declines=int((~bad[declined]).sum()),
            false_decline_cost=forgone * float(of_good[declined].sum()) / self.n,
            profit=float(profit),
            profit_low=float(profit - _Z95 * deviation),
            profit_high=float(profit + _Z95 * deviation),
        )

    def move(self, cut_off: float, to: float) -> Move:
        """What moving from one cut-off to another would have done: only loans between them are decided otherwise."""
        before, after = self._place(cut_off), self._place(to)
        low, high = sorted((before, after))
        steps = self._steps[low:high] * (1 if after > before else -1)
        gain = float(steps.sum()) / self.n
        deviation = np.sqrt(max(float(np.dot(steps, steps)) / self.n - gain**2, 0.0) / self.n)
        return Move(
            gain=gain,
            low=gain - _Z95 * deviation,
            high=gain + _Z95 * deviation,
            n_newly_approved=max(after - before, 0),
            n_newly_declined=max(before - after, 0),
        )

    def best(self, in_force: float, *, seed: int = 0) -> Best:
        """The cut-off of the highest profit; of several equal ones the lowest. ``seed``: of the resampling."""
        places, cut_offs = self._places, self._cut_offs
        chosen = int(np.argmax(self._profits[places]))
        random, now = np.random.default_rng(seed), self._place(in_force)
        found, gains = [], []
        for _ in range(N_RESAMPLES):
            counts = np.bincount(random.integers(0, self.n, self.n), minlength=self.n)
            drawn = _before(counts * self._steps)
            place = places[int(np.argmax(drawn[places]))]
            left_out = _before((counts == 0) * self._steps)
            found.append(place)
            gains.append((left_out[place] - left_out[now]) / max(int((counts == 0).sum()), 1))
        of_place = dict(zip(places.tolist(), cut_offs.tolist(), strict=True))
        low, high = np.percentile([of_place[int(place)] for place in found], [2.5, 97.5])
        gain_low, gain_high = np.percentile(gains, [2.5, 97.5])
        return Best(
            cut_off=float(cut_offs[chosen]),
            low=float(low),
            high=float(high),
            gain=float(np.mean(gains)),
            gain_low=float(gain_low),
            gain_high=float(gain_high),
        )

    def drawn(self, most: int = 400) -> tuple[Floats, Floats, Floats, Floats]:
        """Cut-offs with their profit and its interval, at most this many, evenly over the loans."""
        kept = np.unique(np.linspace(0, len(self._places) - 1, most).round().astype(np.intp))
        profits, deviations = self._profits[self._places[kept]], self._deviations[self._places[kept]]
        return self._cut_offs[kept], profits, profits - _Z95 * deviations, profits + _Z95 * deviations

    def _place(self, cut_off: float) -> int:
        """How many loans the cut-off approves."""
        return int(np.searchsorted(self.probabilities, cut_off, side="left"))

    @cached_property
    def _steps(self) -> Floats:
        """What approving each loan adds."""
        steps: Floats = self._if_approved - self._if_declined
        return steps

    @cached_property
    def _profits(self) -> Floats:
        """Profit per application with the first 0, 1, … n loans approved."""
        return (float(self._if_declined.sum()) + _before(self._steps)) / self.n

    @cached_property
    def _deviations(self) -> Floats:
        """Standard deviations of these means."""
        squares = float(np.dot(self._if_declined, self._if_declined)) + _before(
            self._if_approved**2 - self._if_declined**2
        )
        deviations: Floats = np.sqrt(np.maximum(squares / self.n - self._profits**2, 0) / self.n)
        return deviations

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """The places that a cut-off can have: between equal probabilities there is none."""
        p = self.probabilities
        return np.concatenate([[0], np.flatnonzero(p[1:] > p[:-1]) + 1, [self.n]])

    @cached_property
    def _cut_offs(self) -> Floats:
        """The cut-off of each place: the probability of the first loan that it declines, 1 where it declines none."""
        return np.append(self.probabilities, 1.0)[self._places]


def _before(steps: Floats) -> Floats:
    """The sums of the first 0, 1, … n steps."""
    sums = np.zeros(len(steps) + 1)
    np.cumsum(steps, out=sums[1:])
    return sums
