"""Dagster: what is built from what, when, and what stops it. No mathematics here."""
