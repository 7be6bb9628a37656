"""Folds of rows in time, or stratified: which rows a fold's model learns from, and that model."""

__all__ = ["plan", "rows"]
