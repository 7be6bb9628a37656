"""Which rows a fold's model learns from, and which it is measured on.

Folds walk forward in time: a fold's rows were decided after all rows that its model learned from. Three kinds, the
first that the rows allow:

- ``as known then``: the model uses only labels known when its fold begins;
- ``matured``: it also uses labels of earlier decisions that became known later, as the split in train, tune and test
  does. With labels over three or five years, nothing is known of loans that are a year old;
- ``stratified``: for decisions without dates, or of too few months. Parts of equal default rate; says nothing of time.
"""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import SettingError, TrainingSetError

FoldKind = Literal["as known then", "matured", "stratified"]
Places = NDArray[np.intp]
Times = NDArray[np.datetime64]
#: Unless a caller wants another number.
N_FOLDS = 4
#: Share of a fold's known rows, the newest, that stop the fit and calibrate it.
_TUNE_SHARE = 0.2
#: Least number of defaults, and of repaid loans, to learn from, and to measure on.
_LEAST_LEARNED, _LEAST_SCORED = 20, 5


@dataclass(frozen=True)
class Fold:
    """Places of rows: to fit on, to stop and calibrate by, and to measure on."""

    name: str
    train: Places
    tune: Places
    scored: Places


@dataclass(frozen=True)
class FoldPlan:
    """The folds, in time order where they have one; ``reason``: why they are of this kind."""

    kind: FoldKind
    reason: str
    folds: tuple[Fold, ...]


def plan_folds(
    decided_at: Times,
    label_known_at: Times,
    defaulted: NDArray[np.bool_],
    *,
    is_dated: bool,
    n_folds: int = N_FOLDS,
    seed: int = 0,
) -> FoldPlan:
    """The folds of rows in any order.

    Raises SettingError for fewer than two, and TrainingSetError if a fold would have too few defaults or repaid loans.
    """
    if n_folds < 2:
        raise SettingError(f"the number of folds must be at least 2: found {n_folds}")
    reason = "its loans have no dates"
    if is_dated:
        starts = _starts(decided_at, n_folds)
        reason = f"its decisions are of fewer than {2 * n_folds} months with many loans"
        if starts is not None:
            known = _walk(decided_at, label_known_at, starts)
            if _enough(known, defaulted):
                return FoldPlan("as known then", "each fold's model uses only labels known when the fold begins", known)
            matured = _walk(decided_at, decided_at, starts)
            if _enough(matured, defaulted):
                fewest = min(len(fold.train) + len(fold.tune) for fold in known)
                reason = (
                    f"labels are known too late for folds of what was known then ({fewest:,} when a fold begins): each "
                    "model also uses labels of earlier decisions that became known later"
                )
                return FoldPlan("matured", reason, matured)
            reason = "its folds in time would have too few defaults or repaid loans"
    folds = _stratified(defaulted, n_folds, seed)
    if not _enough(folds, defaulted):
        raise TrainingSetError(
            f"{n_folds} folds need about {_least_of_each(n_folds)} defaults and as many repaid loans: found "
            f"{int(defaulted.sum())} defaults in {len(defaulted):,} rows"
        )
    return FoldPlan("stratified", reason, folds)


def _least_of_each(n_folds: int) -> int:
    """A fold's part of one outcome is scored, a fifth of the others tunes."""
    return max(n_folds * _LEAST_SCORED, ceil(5 * _LEAST_SCORED * n_folds / (n_folds - 1)))


def _starts(decided_at: Times, n_folds: int) -> Times | None:
    """First moments of the folds, each of a month: from the middle of the rows on, about equal numbers a fold."""
    shares = 0.5 + 0.5 * np.arange(n_folds) / n_folds
    in_order = np.sort(decided_at)
    starts = np.unique(in_order[(shares * len(in_order)).astype(np.intp)].astype("datetime64[M]"))
    if len(starts) < n_folds or starts[0] <= in_order[0]:
        return None
    return starts


def _walk(decided_at: Times, usable_at: Times, starts: Times) -> tuple[Fold, ...]:
    folds = []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else None
        scored = decided_at >= start
        if end is not None:
            scored &= decided_at < end
        known = np.flatnonzero((decided_at < start) & (usable_at <= start))
        known = known[np.argsort(decided_at[known], kind="stable")]
        first_tune = round(len(known) * (1 - _TUNE_SHARE))
        last = decided_at.max() if end is None else end - np.timedelta64(1, "M")
        name = f"{start.astype('datetime64[M]')} to {last.astype('datetime64[M]')}"
        folds.append(Fold(name, known[:first_tune], known[first_tune:], np.flatnonzero(scored)))
    return tuple(folds)


def _stratified(defaulted: NDArray[np.bool_], n_folds: int, seed: int) -> tuple[Fold, ...]:
    generator = np.random.default_rng(seed)
    piece = np.empty(len(defaulted), dtype=np.intp)
    for outcome in (defaulted, ~defaulted):
        piece[outcome] = generator.permutation(np.arange(outcome.sum()) % (5 * n_folds))
    part, is_fifth = piece // 5, piece % 5 == 0
    return tuple(
        Fold(
            f"part {number + 1} of {n_folds}",
            np.flatnonzero((part != number) & ~is_fifth),
            np.flatnonzero((part != number) & is_fifth),
            np.flatnonzero(part == number),
        )
        for number in range(n_folds)
    )


def _enough(folds: tuple[Fold, ...], defaulted: NDArray[np.bool_]) -> bool:
    def fewest(places: Places) -> int:
        n_bad = int(defaulted[places].sum())
        return min(n_bad, len(places) - n_bad)

    return all(
        fewest(fold.train) >= _LEAST_LEARNED - _LEAST_SCORED
        and fewest(fold.tune) >= _LEAST_SCORED
        and fewest(fold.scored) >= _LEAST_SCORED
        for fold in folds
    )
