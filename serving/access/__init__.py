"""Who calls, and what they may do: API keys, tokens, and the guards in front of each handler."""

#: The modules that other rooms may import.
__all__ = [
    "caller",
    "guards",
    "keys",
    "tokens",
]
