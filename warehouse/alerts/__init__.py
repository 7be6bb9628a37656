"""Alerts for people: what each rule means, its state, who acknowledged it, and messages to those who must know."""

__all__ = [
    "alert",
    "notifications",
    "prepared",
    "routes",
    "rules",
    "sending",
    "states",
    "texts",
]
