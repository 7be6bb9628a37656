"""Checks each part of a home, and each server of a team: reachable, version, rights, clock, time to answer."""

from warehouse.doctor.finding import Finding

__all__ = [
    "Finding",
    "commands",
    "finding",
    "home",
    "servers",
]
