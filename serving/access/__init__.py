"""Authentication and authorisation: API keys, tokens, and the guards of the handlers."""

__all__ = [
    "caller",
    "guards",
    "keys",
    "tokens",
]
