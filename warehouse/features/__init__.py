"""The feature contract: read from dbt's manifest, checked on tables, compiled to Python, linted."""

__all__ = [
    "checks",
    "columns",
    "contract",
    "expressions",
    "manifest",
    "new_version",
]
