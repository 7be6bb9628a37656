"""Estimate a model's performance before labels are mature, and grade the estimates by what was true later."""

__all__ = ["estimate", "grades", "later_truth", "recording", "stored"]
