"""Helpers shared by several concerns of :mod:`orchestration.defs`."""

__all__ = [
    "champions",
    "dbt_project",
    "feature_versions",
    "layers",
    "lenders",
    "links",
    "months",
    "pages",
    "progress",
    "retries",
    "run_settings",
    "upstream_checks",
]
