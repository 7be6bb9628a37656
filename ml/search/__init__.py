"""Search a family's settings by folds of train and tune rows, with Optuna; test rows have no part in it."""

__all__ = ["folds", "pictures", "results", "rows", "searching", "space", "study", "tracking", "workers"]
