"""The decision log: a SQLite outbox that the API commits to before it answers, and the lake that drains it.

Entries are appended with ``synchronous=full``: after :func:`append` returns they survive ``kill -9`` and a power cut.
:func:`ingest_into_lake` moves each exactly once to its table in ``serving``, and the features of decisions to their
version's table; :func:`prune` deletes ingested entries.
"""

from warehouse.decision_log.entries import (
    Decision,
    FoundDecision,
    HistoryWord,
    Place,
    ReportedOutcome,
    RoleWord,
    RouteWord,
    ScoringFailure,
    ShadowDecision,
    StatusWord,
)
from warehouse.decision_log.erasing import erase_entries
from warehouse.decision_log.handover import count_pending
from warehouse.decision_log.ingestion import Ingested, find_decision, ingest_into_lake
from warehouse.decision_log.outbox import (
    Backlog,
    append,
    backlog,
    connect,
    create,
    find_by_key,
    find_in_outbox,
    find_shadow_in_outbox,
    newest_in_outbox,
)
from warehouse.decision_log.pruning import Pruned, prune
from warehouse.decision_log.search import DecisionQuery, newest_in_lake, search_decisions

__all__ = [
    "Backlog",
    "Decision",
    "DecisionQuery",
    "FoundDecision",
    "HistoryWord",
    "Ingested",
    "Place",
    "Pruned",
    "ReportedOutcome",
    "RoleWord",
    "RouteWord",
    "ScoringFailure",
    "ShadowDecision",
    "StatusWord",
    "append",
    "backlog",
    "connect",
    "count_pending",
    "create",
    "entries",
    "erase_entries",
    "erasing",
    "features",
    "find_by_key",
    "find_decision",
    "find_in_outbox",
    "find_shadow_in_outbox",
    "handover",
    "ingest_into_lake",
    "json_text",
    "newest_in_lake",
    "newest_in_outbox",
    "outbox",
    "prune",
    "publication",
    "search_decisions",
    "second_copy",
]
