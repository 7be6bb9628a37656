"""Dagster: which step follows which, what stops it, and what people see of it. No mathematics here."""
