"""An authenticated caller: who they are and what they may do."""

import msgspec

from ml.decisions.decision import Channel
from warehouse.decision_log import RouteWord


class Caller(msgspec.Struct, frozen=True):
    """Who calls. ``caller_id`` stays the same when a key is rotated or a token renewed; ``credential`` names the
    key or token, for messages; ``name`` is the key's, or the token's subject; ``rate_limit`` is None for the server's
    default; ``lenders`` is None for all.
    """

    caller_id: str
    scopes: frozenset[str]
    credential: str
    name: str
    rate_limit: int | None = None
    lenders: frozenset[str] | None = None

    @property
    def signature(self) -> str:
        """Their name in stored records: the key, or whose token."""
        return self.caller_id if self.caller_id.startswith("token of ") else self.credential

    def channel(self, route: RouteWord) -> Channel:
        """Their name and route in the decision log."""
        return Channel(route, self.caller_id, self.name)

    def may_reach(self, lender: str) -> bool:
        """Whether the key or token is for this lender, or for all."""
        return self.lenders is None or lender in self.lenders

    def may(self, scope: str) -> bool:
        """Whether the scope, or ``admin``, which includes all, was granted."""
        return scope in self.scopes or "admin" in self.scopes
