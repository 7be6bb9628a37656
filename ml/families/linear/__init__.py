"""Families whose log-odds are a sum over columns: the logistic regression, and the scorecard's points."""

__all__ = ["linear_fit", "logistic", "scorecard", "scorecard_table"]
