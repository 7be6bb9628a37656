"""OpenLineage events of every run, where ``OPENLINEAGE_URL`` is set: which step read and wrote which tables.

::

    Dagster's event → run_log → sending (a thread of its own) → events (OpenLineage's classes) → the receiver

Without that variable nothing of it is imported but that handler.
"""

__all__ = ["graph", "run_log"]
