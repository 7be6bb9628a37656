"""The feature contract: read from dbt's manifest, checked on tables, compiled to Python, linted."""

#: The modules that other rooms may import.
__all__ = [
    "checks",
    "compiled",
    "contract",
    "expressions",
    "new_version",
]
