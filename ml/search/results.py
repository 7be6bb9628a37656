"""The trials of a search, which of them is the best, and ``models.search_trials``."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ml.folds.plan import FoldKind
from ml.search.scoring import FoldScore
from ml.training.fitting import TrainingSettings
from warehouse.lake.connection import writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

TRIALS = "models.search_trials"
#: A gain of fewer standard errors over the folds may be chance, also without the choice among many trials.
_SURE = 2.0


@dataclass(frozen=True)
class SearchLimits:
    """What a trial must keep, on the mean of its folds: a trial beyond a limit is never the best.

    ``excess_ece``: calibration error beyond chance. ``psi``: of a fold's scores against those of the tune rows of the
    same model. ``most_features``: None for any number.
    """

    excess_ece: float = 0.03
    psi: float = 0.2
    most_features: int | None = None

    def excess(self, folds: Sequence[FoldScore], n_features: int) -> dict[str, float]:
        """By how much each limit is missed; 0 or less: kept."""
        found = {
            "calibration": _mean([fold.excess_ece for fold in folds]) - self.excess_ece,
            "stability": _mean([fold.psi for fold in folds]) - self.psi,
        }
        if self.most_features is not None:
            found["features"] = float(n_features - self.most_features)
        return found


@dataclass(frozen=True)
class SearchTrial:
    """A finished trial; ``excess``: see :meth:`SearchLimits.excess`. ``finished_at``: local time, naive.

    A pruned one has only its first folds. ``n_features``: those that its model reads.
    """

    number: int
    is_pruned: bool
    is_default: bool
    values: Mapping[str, float]
    settings: TrainingSettings
    n_features: int
    left_out: tuple[str, ...]
    folds: tuple[FoldScore, ...]
    excess: Mapping[str, float]
    finished_at: datetime

    @property
    def log_loss(self) -> float:
        """Mean over the folds."""
        return self.mean("log_loss")

    @property
    def log_loss_spread(self) -> float:
        """Standard deviation over the folds; NaN with one."""
        return statistics.stdev(fold.log_loss for fold in self.folds) if len(self.folds) > 1 else math.nan

    @property
    def missed(self) -> tuple[str, ...]:
        """The limits that it misses."""
        return tuple(name for name, excess in self.excess.items() if excess > 0)

    @property
    def processor_seconds(self) -> float:
        """Of all its folds."""
        return sum(fold.processor_seconds for fold in self.folds)

    def mean(self, figure: str) -> float:
        """The mean of a fold's figure over the folds."""
        return _mean([getattr(fold, figure) for fold in self.folds])


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """A search with its trials.

    ``n_rows``: train and tune rows searched, of ``n_of``. ``importance``: what each feature's shuffled values cost in
    log loss, the least first. ``stopped``: which part of the budget ended the call; ``seconds`` are of the call.
    ``influence``: each dimension's share of the differences between complete trials; empty with too few.
    """

    search_id: str
    source: str
    family: str
    feature_version: str
    lake_snapshot: int
    training_set_sha256: str
    fold_kind: FoldKind
    fold_reason: str
    n_rows: int
    n_of: int
    limits: SearchLimits
    importance: Mapping[str, float]
    trials: tuple[SearchTrial, ...]
    stopped: str = ""
    seconds: float = 0.0
    processor_seconds: float = 0.0
    influence: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> SearchTrial | None:
        """The least log loss among the trials that were measured on all folds and keep the limits; None without one."""
        found = [trial for trial in self.trials if not trial.is_pruned and not trial.missed]
        return min(found, key=lambda trial: (trial.log_loss, trial.number), default=None)

    @property
    def default(self) -> SearchTrial | None:
        """The lender's own settings; None if the budget ended before them."""
        return next((trial for trial in self.trials if trial.is_default), None)

    @property
    def finding(self) -> str:
        """The result in one sentence."""
        best, default = self.best, self.default
        if best is None or default is None:
            return "no trial was measured on all folds and keeps the limits"
        if best.is_default:
            return f"no gain: no trial has a lower log loss on the folds than the present settings, {best.log_loss:.4f}"
        gains = [theirs.log_loss - mine.log_loss for mine, theirs in zip(best.folds, default.folds, strict=True)]
        error = statistics.stdev(gains) / math.sqrt(len(gains))
        text = (
            f"trial {best.number} has a log loss of {best.log_loss:.4f} on the folds, the present settings "
            f"{default.log_loss:.4f}: lower by {_mean(gains):.4f} with a standard error of {error:.4f}, in "
            f"{sum(gain > 0 for gain in gains)} of {len(gains)} folds"
        )
        if _mean(gains) < _SURE * error:
            text += ", which chance alone may give"
        if default.missed:
            text += f" (the present settings miss the limits of {', '.join(default.missed)})"
        return text


def write_trials(settings: Settings, result: SearchResult, fingerprints: Mapping[int, str]) -> None:
    """Replace the search's rows in the lake, in one commit; ``fingerprints``: of the training of each trial."""
    import pyarrow as pa

    rows = [_row(result, trial, fingerprints[trial.number]) for trial in result.trials]
    casts = ", ".join(f"{column}::{data_type} as {column}" for column, data_type in program_tables()[TRIALS].items())
    with writer(f"search {result.search_id}", settings) as con:
        con.execute("begin")
        con.execute(f"delete from {TRIALS} where search_id = $1", [result.search_id])
        if rows:
            con.register("searched_rows", pa.Table.from_pylist(rows))
            con.execute(f"insert into {TRIALS} by name select {casts} from searched_rows")
            con.unregister("searched_rows")
        con.execute("commit")


def _row(result: SearchResult, trial: SearchTrial, fingerprint: str) -> dict[str, Any]:
    best = result.best
    spread = trial.log_loss_spread
    return {
        "search_id": result.search_id,
        "source": result.source,
        "family": result.family,
        "trial": trial.number,
        "state": "pruned" if trial.is_pruned else "complete",
        "is_default": trial.is_default,
        "is_best": best is not None and trial.number == best.number,
        "settings": json.dumps(dict(trial.values)),
        "n_features": trial.n_features,
        "left_out": ", ".join(trial.left_out),
        "fold_kind": result.fold_kind,
        "n_folds": len(trial.folds),
        "log_loss": trial.log_loss,
        "log_loss_spread": None if math.isnan(spread) else spread,
        "fold_log_losses": json.dumps({fold.fold: fold.log_loss for fold in trial.folds}),
        **{name: trial.mean(name) for name in ("auc", "brier", "excess_ece", "psi")},
        "missed_limits": ", ".join(trial.missed),
        "seconds": sum(fold.seconds for fold in trial.folds),
        "processor_seconds": trial.processor_seconds,
        "finished_at": trial.finished_at.astimezone(UTC).replace(tzinfo=None),
        "lake_snapshot": result.lake_snapshot,
        "feature_version": result.feature_version,
        "training_set_sha256": result.training_set_sha256,
        "fingerprint": fingerprint,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
