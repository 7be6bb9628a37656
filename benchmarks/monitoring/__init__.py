"""Drift, and performance before labels are known."""
