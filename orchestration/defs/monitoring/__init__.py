"""Drift, reports and performance, and what they trigger."""
