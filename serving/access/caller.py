"""An authenticated caller: who they are and what they may do."""

import msgspec

from ml.decisions.decision import Channel
from warehouse.decision_log import RouteWord


class Caller(msgspec.Struct, frozen=True):
    """Who calls. ``caller_id`` stays the same when a key is rotated or a token renewed; ``credential`` names the
    key or token, for messages; ``name`` is the key's, or the token's subject; ``rate_limit`` is None for the server's
    default.
    """

    caller_id: str
    scopes: frozenset[str]
    credential: str
    name: str
    rate_limit: int | None = None

    @property
    def signature(self) -> str:
        """How a record that is kept names them: the key that was shown, or whose token."""
        return self.caller_id if self.caller_id.startswith("token of ") else self.credential

    def channel(self, route: RouteWord) -> Channel:
        """How the decision log names them and the way by which they asked."""
        return Channel(route, self.caller_id, self.name)

    def may(self, scope: str) -> bool:
        """Whether a scope, or ``admin``, which holds them all, was granted."""
        return scope in self.scopes or "admin" in self.scopes
