"""One search: trials within a budget, fold by fold, in one process or several."""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ml.folds.rows import FoldRows
from ml.search.results import SearchLimits, SearchResult, SearchTrial
from ml.search.scoring import FoldScore, permuted_importance, score_fold
from ml.search.space import Space, space_of
from ml.search.study import RunningTrial, Study
from ml.search.workers import Submit, started
from ml.training.fitting import TrainingSettings
from ml.training.lineage import training_fingerprint
from ml.training.training_set import TrainingSet
from warehouse.errors import RunRefused, SettingError
from warehouse.features.contract import FeatureContract
from warehouse.files.turns import file_turn_if_free

Report = Callable[[SearchTrial, SearchTrial | None], None]


@dataclass(frozen=True)
class Budget:
    """When no further trial begins, whichever comes first; trials that have begun are finished.

    ``trials``: of the search, with those of earlier calls. ``minutes`` and ``processor_minutes``: of this call.
    """

    trials: int = 60
    minutes: float | None = None
    processor_minutes: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value <= 0:
                raise SettingError(f"{name} of a search must be above 0: found {value}")


def search(
    directory: Path,
    training_set: TrainingSet,
    contract: FeatureContract,
    base: TrainingSettings,
    *,
    is_dated: bool,
    limits: SearchLimits | None = None,
    budget: Budget | None = None,
    workers: int = 1,
    report: Report | None = None,
) -> SearchResult:
    """Search around ``base``; a search of the same rows, settings, space and limits goes on where it ended.

    ``directory``: of the source's searches. ``report`` gets each finished trial and the best. Raises RunRefused while
    another process does the same search.
    """
    limits, budget = limits or SearchLimits(), budget or Budget()
    base = replace(base, prefer_simpler=False)
    rows = FoldRows.read(training_set, contract, exclude=base.exclude, is_dated=is_dated)
    is_walk = rows.plan.kind != "stratified"
    space = space_of(base, n_features=len(rows.features), is_dated=is_walk)
    name = _search_id(training_set, contract, space, limits, rows)
    with file_turn_if_free(directory / f"{name}.lock") as is_free:
        if not is_free:
            raise RunRefused(f"search {name} is under way in another process: wait for it, or end it")
        study = Study.open(directory / f"{name}.sqlite", name, space, limits)
        begun = _Progress(budget, time.perf_counter())
        with started(rows, workers) as submit:
            if study.importance is None:
                study.keep_importance(*_importance(rows, base, submit))
            result = SearchResult(
                search_id=name,
                source=training_set.source,
                family=base.model.name,
                feature_version=training_set.feature_version,
                lake_snapshot=training_set.snapshot,
                training_set_sha256=training_set.sha256,
                fold_kind=rows.plan.kind,
                fold_reason=rows.plan.reason,
                n_rows=len(rows.defaulted),
                n_of=rows.n_of,
                limits=limits,
                importance=study.importance or {},
                trials=study.finished(),
            )
            return _run(study, rows, submit, begun, result, workers=workers, report=report)


def fingerprints(result: SearchResult, contract: FeatureContract) -> dict[int, str]:
    """The fingerprint of each trial's training: a model registered with a trial's settings has it."""
    return {
        trial.number: training_fingerprint(result.training_set_sha256, contract, trial.settings)
        for trial in result.trials
    }


@dataclass
class _Progress:
    budget: Budget
    started: float
    processor_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def stop(self, n_trials: int) -> str:
        """What of the budget is used up; empty if nothing is."""
        budget = self.budget
        if n_trials >= budget.trials:
            return f"{budget.trials} trials"
        if budget.minutes is not None and self.seconds >= 60 * budget.minutes:
            return f"{budget.minutes:g} minutes"
        if budget.processor_minutes is not None and self.processor_seconds >= 60 * budget.processor_minutes:
            return f"{budget.processor_minutes:g} processor minutes"
        return ""


def _run(
    study: Study,
    rows: FoldRows,
    submit: Submit,
    progress: _Progress,
    result: SearchResult,
    *,
    workers: int,
    report: Report | None,
) -> SearchResult:
    folds, order = rows.plan.folds, list(result.importance)
    running: dict[Future[FoldScore], RunningTrial] = {}

    def begin_fold(trial: RunningTrial) -> None:
        settings = study.space.settings(trial.values, order)
        running[submit(score_fold, folds[len(trial.folds)], settings)] = trial

    while True:
        while len(running) < workers and not progress.stop(len(result.trials) + len(running)):
            begin_fold(study.ask())
        if not running:
            return replace(
                result,
                stopped=progress.stop(len(result.trials)),
                seconds=progress.seconds,
                processor_seconds=progress.processor_seconds,
                influence=study.influence(),
            )
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            trial, score = running.pop(future), future.result()
            progress.processor_seconds += score.processor_seconds
            finished = study.add(trial, score, n_folds=len(folds))
            if finished is None:
                begin_fold(trial)
                continue
            result = replace(result, trials=tuple(sorted((*result.trials, finished), key=lambda each: each.number)))
            if report is not None:
                report(finished, result.best)


def _importance(rows: FoldRows, base: TrainingSettings, submit: Submit) -> tuple[dict[str, float], list[float]]:
    """What each feature's values are worth, on the mean of the folds, and the log loss of ``base`` on each."""
    found = [future.result() for future in [submit(permuted_importance, fold, base) for fold in rows.plan.folds]]
    costs = np.mean([of_fold for _, of_fold in found], axis=0)
    return dict(zip(rows.features, costs.tolist(), strict=True)), [loss for loss, _ in found]


def _search_id(
    training_set: TrainingSet, contract: FeatureContract, space: Space, limits: SearchLimits, rows: FoldRows
) -> str:
    """Equal for equal rows, contract, settings, space, limits and kind of folds."""
    what: list[Any] = [
        training_fingerprint(training_set.sha256, contract, space.base),
        [asdict(each) for each in space.dimensions],
        asdict(limits),
        rows.plan.kind,
        len(rows.plan.folds),
    ]
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return f"{training_set.source}-{space.base.model.name}-{digest[:12]}"
