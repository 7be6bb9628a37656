"""Say what each cut-off would have earned on matured decisions, and which one most."""

__all__ = ["curve", "decided_loans"]
