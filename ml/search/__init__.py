"""Search a family's settings by folds of train and tune rows, with Optuna; test rows have no part in it."""

__all__ = ["pictures", "results", "scoring", "searching", "space", "study", "tracking", "workers"]
