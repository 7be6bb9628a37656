"""What the machines of a team share on PostgreSQL: files that decide what is served, turns, and who has reported.

In an embedded home (no ``LOANLAKE_CATALOG``) every function here does nothing, or works on the home's own files.
"""

from warehouse.team.files import follow, fresh, pull, push, restore, shared_turn, shared_turn_if_free
from warehouse.team.server import TeamServer, make_schemas, server

__all__ = [
    "TeamServer",
    "files",
    "follow",
    "fresh",
    "machines",
    "make_schemas",
    "object_store",
    "pull",
    "push",
    "restore",
    "server",
    "shared_turn",
    "shared_turn_if_free",
]
