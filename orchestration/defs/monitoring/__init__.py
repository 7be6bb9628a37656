"""Drift, reports and performance, and what happens when they are bad."""
