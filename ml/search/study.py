"""A search's trials in Optuna's storage: asked, reported, kept through a kill of the process.

One process asks and tells; others only compute. Each trial is drawn with a seed of its own, which depends on how many
trials came before it: a search that is killed and repeated draws the trials that it would have drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ml.families.protocol import Dimension
from ml.search.results import SearchLimits, SearchTrial
from ml.search.scoring import FoldScore
from ml.search.space import Space
from warehouse.errors import SettingError
from warehouse.settings import sqlite_uri

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_SEED = 20111231
#: Trials before TPE takes over from random draws, and before a trial can be pruned.
_RANDOM_TRIALS, _UNPRUNED_TRIALS = 10, 5
#: Complete trials from which on the influence of settings is computed.
_LEAST_COMPLETE = 4
#: A fold alone says too little.
_LEAST_FOLDS = 2
_DEFAULT, _FOLDS, _IMPORTANCE, _REFERENCE = "is_default", "folds", "importance", "reference"


@dataclass
class RunningTrial:
    """A trial that is being measured, fold by fold."""

    trial: "Trial"
    values: dict[str, float]
    folds: list[FoldScore]

    @property
    def number(self) -> int:
        """As the storage counts; the lender's own settings are the first."""
        return int(self.trial.number)


class Study:
    """One search in its storage; at most one process may have it open."""

    def __init__(self, study: "OptunaStudy", space: Space, limits: SearchLimits) -> None:
        self.optuna, self.space, self.limits = study, space, limits

    @classmethod
    def open(cls, path: Path, name: str, space: Space, limits: SearchLimits) -> Self:
        """Create the study or go on with it; a trial that a killed process left is drawn again.

        Raises SettingError if Optuna is not installed.
        """
        optuna = require_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path.parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=sqlite_uri(path),
            study_name=name,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS, n_warmup_steps=_LEAST_FOLDS - 1),
            load_if_exists=True,
        )
        state = optuna.trial.TrialState
        for left in study.get_trials(deepcopy=False, states=(state.RUNNING,)):
            study.tell(left.number, state=state.FAIL)
        if not any(_DEFAULT in trial.user_attrs for trial in _begun(study)):
            study.enqueue_trial(space.default, user_attrs={_DEFAULT: True})
        return cls(study, space, limits)

    @property
    def importance(self) -> Mapping[str, float] | None:
        """What each feature's shuffled values cost in log loss, the least first; None before it was measured."""
        found: Mapping[str, float] | None = self.optuna.user_attrs.get(_IMPORTANCE)
        return found

    def keep_importance(self, costs: Mapping[str, float], reference: Sequence[float]) -> None:
        """Decide once in which order features are left out; ``reference``: the present settings' log loss by fold."""
        self.optuna.set_user_attr(_REFERENCE, list(reference))
        self.optuna.set_user_attr(_IMPORTANCE, dict(sorted(costs.items(), key=lambda item: (item[1], item[0]))))

    def ask(self) -> RunningTrial:
        """The next trial."""
        optuna = require_optuna()
        drawn = [trial for trial in _begun(self.optuna) if trial.state != optuna.trial.TrialState.WAITING]
        self.optuna.sampler = optuna.samplers.TPESampler(seed=_SEED + len(drawn), n_startup_trials=_RANDOM_TRIALS)
        trial = self.optuna.ask({each.name: _distribution(each) for each in self.space.dimensions})
        return RunningTrial(trial, dict(trial.params), [])

    def add(self, running: RunningTrial, score: FoldScore, *, n_folds: int) -> SearchTrial | None:
        """Report a fold; the trial's result if this was its last one, or if the others have shown it to be poor."""
        optuna = require_optuna()
        running.folds.append(score)
        mean = sum(fold.log_loss for fold in running.folds) / len(running.folds)
        # the pruner takes a trial's best step: folds of other months are comparable only against one model's
        reference = self.optuna.user_attrs[_REFERENCE][: len(running.folds)]
        running.trial.report(mean - sum(reference) / len(reference), step=len(running.folds) - 1)
        is_last = len(running.folds) == n_folds
        if not is_last and not running.trial.should_prune():
            return None
        n_features = self._n_features(running.values)
        for name, excess in self.limits.excess(running.folds, n_features).items():
            running.trial.set_constraint(name, excess)
        running.trial.set_user_attr(_FOLDS, [asdict(fold) for fold in running.folds])
        if is_last:
            told = self.optuna.tell(running.trial, mean)
        else:
            told = self.optuna.tell(running.trial, state=optuna.trial.TrialState.PRUNED)
        return self._result(told)

    def finished(self) -> tuple[SearchTrial, ...]:
        """Trials that were measured or pruned, in order."""
        states = require_optuna().trial.TrialState
        found = self.optuna.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        return tuple(self._result(trial) for trial in found)

    def influence(self) -> dict[str, float]:
        """Each dimension's share of the differences between complete trials (fANOVA); empty with too few of them."""
        optuna = require_optuna()
        complete = self.optuna.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len({trial.value for trial in complete}) < _LEAST_COMPLETE:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_SEED)
        return dict(optuna.importance.get_param_importances(self.optuna, evaluator=evaluator))

    def _n_features(self, values: Mapping[str, float]) -> int:
        left_out = self.space.settings(values, self._order()).exclude
        return len(self._order()) - len(set(left_out) & set(self._order()))

    def _order(self) -> Sequence[str]:
        return list(self.importance or {})

    def _result(self, trial: "FrozenTrial") -> SearchTrial:
        settings = self.space.settings(trial.params, self._order())
        finished_at = trial.datetime_complete
        if finished_at is None:
            raise ValueError(f"trial {trial.number} has not finished")
        return SearchTrial(
            number=trial.number,
            is_pruned=trial.state.name == "PRUNED",
            is_default=_DEFAULT in trial.user_attrs,
            values=dict(trial.params),
            settings=settings,
            n_features=self._n_features(trial.params),
            left_out=tuple(name for name in self._order() if name in settings.exclude),
            folds=tuple(FoldScore(**fold) for fold in trial.user_attrs[_FOLDS]),
            excess=dict(trial.constraints),
            finished_at=finished_at,
        )


def require_optuna() -> Any:
    """The module; raises SettingError that names the extra if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise SettingError(
            "a search of settings needs Optuna, which is not installed: pip install 'loanlake[search]'"
        ) from None
    return optuna


def _begun(study: "OptunaStudy") -> "list[FrozenTrial]":
    """All trials but those that a killed process left."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name != "FAIL"]


def _distribution(dimension: Dimension) -> "BaseDistribution":
    distributions = require_optuna().distributions
    found: BaseDistribution
    if dimension.is_integer:
        found = distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.is_log)
    else:
        found = distributions.FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.is_log)
    return found
