"""Keeps an API machine in step with its team's server: brings files, hands decisions over."""

from serving.team.link import TeamLink

__all__ = [
    "TeamLink",
    "link",
]
