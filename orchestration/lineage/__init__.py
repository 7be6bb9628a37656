"""OpenLineage events of every run, where ``OPENLINEAGE_URL`` is set: which step read and wrote which tables.

::

    Dagster's event → handler → sending (a thread of its own) → events (OpenLineage's classes) → the receiver

Without that variable nothing of it is imported but the handler.
"""

__all__ = ["graph", "handler"]
