"""Features of borrowers for callers who decide nothing here: validated, looked up, counted."""

__all__ = ["lookup"]
