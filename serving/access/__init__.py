"""Authentication and authorisation: API keys, tokens, and the guards of the handlers."""

#: The modules that other rooms may import.
__all__ = [
    "caller",
    "guards",
    "keys",
    "tokens",
]
