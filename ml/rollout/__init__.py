"""Put a version in service: promote, roll back, challenge, and move a canary by what its steps show."""

__all__ = [
    "canary",
    "challenge",
    "promotion",
]
