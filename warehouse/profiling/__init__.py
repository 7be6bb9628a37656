"""Propose what a new lender's files mean (``loanlake lender new``), ask for the rest, and write its dbt files."""

__all__ = [
    "commands",
    "personal",
    "profile",
]
