"""Says from a lender's built tables, in seconds, what would stop or spoil its model (``loanlake lender check``)."""

__all__ = [
    "commands",
    "settings",
]
