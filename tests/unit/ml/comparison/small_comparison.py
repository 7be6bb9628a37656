"""A comparison without any training, for its plots, its page and its command."""

from dataclasses import replace
from datetime import date, datetime

import numpy as np

from ml.comparison.comparing import Comparison
from ml.comparison.figures import ModelFigures, MonthFigures, Occasion
from ml.comparison.fold_figures import FoldFigures, spread
from ml.registry.information_values import InformationValue

N = 400
OCCASION = Occasion(
    comparison_id="bank-20240102T030405Z",
    source="bank",
    compared_at=datetime(2024, 1, 2, 3, 4, 5),
    compared_by="ann",
    compared_with="champion",
    split_kind="out of time",
    n_train=1_000,
    n_tune=300,
    n_test=N,
    n_test_defaults=N // 4,
    n_known_later=0,
    lake_snapshot=7,
    feature_version="v1",
    training_set_sha256="ab" * 32,
    fold_kind="matured",
    n_folds=2,
)


def model_row(model: str, low: float | None = None, high: float | None = None) -> ModelFigures:
    """A model whose AUC is .7, with a paired interval, or none."""
    middle = None if low is None or high is None else (low + high) / 2
    return ModelFigures(
        model=model,
        family="xgboost",
        settings='{"family": "xgboost"}',
        auc=0.7,
        auc_low=0.68,
        auc_high=0.72,
        auc_difference=middle,
        auc_difference_low=low,
        auc_difference_high=high,
        brier=0.12,
        training_seconds=2.5,
        model_bytes=12_345,
    )


def small_comparison(*models: ModelFigures, **changes: object) -> Comparison:
    """The champion, the models, and the base rate; ``changes``: of the occasion."""
    rows = (model_row("champion"), *models, replace(model_row("base_rate", -0.21, -0.19), family=None, settings=None))
    random = np.random.default_rng(1)
    defaulted = np.arange(N) % 4 == 0
    months = [
        MonthFigures(
            model=row.model, month=date(2023, month, 1), n=200, n_defaults=50, default_rate=0.25,
            mean_probability=0.2, gini=None if month == 3 else 0.4, brier=0.12,
        )
        for row in rows[:-1]
        for month in (1, 2, 3)
    ]  # fmt: skip
    folds = [
        FoldFigures(
            model=row.model, number=number, fold=f"2023-0{number} to 2023-0{number}",
            decided_from=datetime(2023, number, 1), decided_to=datetime(2023, number, 28), n_learned=900,
            n=150, n_defaults=30, default_rate=0.2, mean_probability=0.2, auc=auc, gini=2 * auc - 1, ks=0.3,
            h_measure=0.1, brier=0.12, log_loss=0.4, ece=0.02,
        )
        for row in models
        for number, auc in ((1, 0.68), (2, 0.72))
    ]  # fmt: skip
    rows = tuple(replace(row, **spread([fold for fold in folds if fold.model == row.model])) for row in rows)
    value = InformationValue(feature="loan_to_income", information_value=0.123, n_bins=5, n=1_300, missing_share=0.1)
    return Comparison(
        occasion=replace(OCCASION, **changes),  # type: ignore[arg-type]  # of any field
        models=rows,
        months=tuple(months),
        left_out={"tab_transformer": "needs the package torch, which is not installed"},
        statement="select 1",
        defaulted=defaulted,
        folds=tuple(folds),
        fold_reason="labels are known too late",
        information_values=(value,),
        probabilities={row.model: np.clip(0.2 * defaulted + random.random(N) / 2, 0.01, 0.99) for row in rows},
    )
