"""Put a version in service: promote, roll back, by itself too, challenge, and move a canary by what its steps show."""

__all__ = [
    "after_promotion",
    "canary",
    "challenge",
    "promotion",
]
